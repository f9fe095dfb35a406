// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"context"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"

	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/runtime/cel"
)

func condition(object *unstructured.Unstructured, kind string) (status, reason string) {
	conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	for _, each := range conditions {
		one := each.(map[string]any)
		if one["type"] == kind {
			return one["status"].(string), one["reason"].(string)
		}
	}
	return "", ""
}

func TestKstatusSaysWhatTheMappingSays(t *testing.T) {
	for _, one := range readObjects(t) {
		result, err := status.Compute(one.object)
		if err != nil {
			t.Errorf("%s %s: %v", one.kind, one.name, err)
		} else if string(result.Status) != one.want.Kstatus {
			t.Errorf("%s %s: %s (%s), not %s", one.kind, one.name, result.Status, result.Message,
				one.want.Kstatus)
		}
	}
}

// Flux stops waiting for what is Stalled, and marks a Kustomization as failed.
func TestWhatIsTriedAgainIsNeverStalled(t *testing.T) {
	retrying := 0
	for _, one := range readObjects(t) {
		_, reason := condition(one.object, "Reconciling")
		if reason != "ProgressingWithRetry" {
			continue
		}
		retrying++
		if stalled, _ := condition(one.object, "Stalled"); stalled != "" {
			t.Errorf("%s %s: Stalled is %s", one.kind, one.name, stalled)
		}
	}
	if retrying < 15 {
		t.Errorf("only %d objects were recorded while something was tried again", retrying)
	}
}

// What `kubectl wait --for=condition=Ready` and `--for=condition=Succeeded` look at.
func TestOnlyWhatIsDoneIsReadyAndSucceeded(t *testing.T) {
	for _, one := range readObjects(t) {
		ready, _ := condition(one.object, "Ready")
		if done := one.want.Flux == "Current"; done != (ready == "True") {
			t.Errorf("%s %s: Ready is %q", one.kind, one.name, ready)
		}
		succeeded, _ := condition(one.object, "Succeeded")
		want := map[string]string{"Current": "True", "Failed": "False", "InProgress": "Unknown"}[one.want.Flux]
		if one.name == "not-seen-yet" { // It has no conditions to wait for.
			want = ""
		}
		if one.kind == "TenantMigration" && succeeded != want {
			t.Errorf("%s %s: Succeeded is %q, not %q", one.kind, one.name, succeeded, want)
		}
	}
}

func TestFluxExpressionsSayWhatTheMappingSays(t *testing.T) {
	var snippet struct {
		HealthCheckExprs []kustomize.CustomHealthCheck `json:"healthCheckExprs"`
	}
	readYAML(t, repositoryFile(t, "deploy", "flux", "health-check-exprs.yaml"), &snippet)
	for _, one := range readObjects(t) {
		got, err := fluxStatus(snippet.HealthCheckExprs, one.object)
		if got != one.want.Flux {
			t.Errorf("%s %s: %s (%v), not %s", one.kind, one.name, got, err, one.want.Flux)
		}
	}
}

// fluxStatus asks Flux's own status reader, which says Unknown, with an error, where it cannot say.
func fluxStatus(checks []kustomize.CustomHealthCheck, object *unstructured.Unstructured) (string, error) {
	kind := object.GroupVersionKind()
	for _, check := range checks {
		if check.Kind != kind.Kind || check.APIVersion != object.GetAPIVersion() {
			continue
		}
		evaluator, err := cel.NewStatusEvaluator(&check.HealthCheckExpressions)
		if err != nil {
			return "", err
		}
		mapper := meta.NewDefaultRESTMapper(nil)
		reader := cel.NewStatusReader(context.Background(), mapper, kind.GroupKind(), evaluator)
		result, err := reader.ReadStatusForObject(context.Background(), nil, object)
		if err != nil {
			return "", err
		}
		return string(result.Status), result.Error
	}
	return "no expressions", nil
}
