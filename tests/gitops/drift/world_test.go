// SPDX-License-Identifier: Apache-2.0

// Package drift holds what Argo CD makes of a tenant's objects while they are moved against
// docs/gitops.md. The objects are on a real API server, put there by Argo CD's own apply; the
// operator's own code changes them (move_steps.cc); Argo CD's own comparison judges, in both of its
// ways, with the very text that the documentation tells people to use.
package drift

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	argo "github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	argodiff "github.com/argoproj/argo-cd/v3/util/argo/diff"
	"github.com/argoproj/argo-cd/v3/util/argo/normalizers"
	"github.com/argoproj/gitops-engine/pkg/diff"
	"github.com/argoproj/gitops-engine/pkg/utils/kube"
	"github.com/argoproj/gitops-engine/pkg/utils/tracing"
	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"
	"sigs.k8s.io/yaml"
)

// Under which Argo CD applies.
const argoManager = "argocd-controller"

// Kinds that the API server learns from CRDs.
var (
	migrationKind = schema.GroupVersionKind{Group: "cutover.dev", Version: "v1alpha1", Kind: "TenantMigration"}
	placementKind = schema.GroupVersionKind{Group: "cutover.dev", Version: "v1alpha1", Kind: "DatabasePlacement"}
	routeKind     = schema.GroupVersionKind{Group: "gateway.networking.k8s.io", Version: "v1", Kind: "HTTPRoute"}
)

// way is how an Argo CD is set up: how it applies, and how it compares.
type way struct {
	name       string
	serverSide bool
}

var ways = []way{{"client-side", false}, {"server-side", true}}

// cluster is the API server as Argo CD uses it.
type cluster struct {
	config     *rest.Config
	kubectl    *kube.KubectlCmd
	operations kube.ResourceOperations
	dryRun     diff.ServerSideDryRunner
	parser     *managedfields.GvkParser
}

func environment(t *testing.T, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s is not set; run tests/gitops/drift/check", name)
	}
	return value
}

// connect installs the CRDs, and waits until the API server describes them.
func connect(t *testing.T) *cluster {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", environment(t, "KUBECONFIG"))
	if err != nil {
		t.Fatal(err)
	}
	config.QPS, config.Burst = 200, 400
	made := &cluster{config: config,
		kubectl: &kube.KubectlCmd{Log: logr.Discard(), Tracer: tracing.NopTracer{}}}
	made.learn(t)
	for _, file := range crdFiles(t) {
		for _, object := range readManifests(t, file) {
			made.apply(t, object, true)
		}
	}
	deadline := time.Now().Add(time.Minute)
	for made.parser.Type(migrationKind) == nil || made.parser.Type(placementKind) == nil ||
		made.parser.Type(routeKind) == nil {
		if time.Now().After(deadline) {
			t.Fatal("the API server does not describe the CRDs")
		}
		time.Sleep(200 * time.Millisecond)
		made.learn(t)
	}
	return made
}

// learn reads what kinds there are, as Argo CD's cache of a cluster does.
func (c *cluster) learn(t *testing.T) {
	t.Helper()
	resources, parser, err := c.kubectl.LoadOpenAPISchema(c.config)
	if err != nil {
		t.Fatal(err)
	}
	operations, forget, err := c.kubectl.ManageResources(c.config, resources)
	if err != nil {
		t.Fatal(err)
	}
	applier, forgetToo, err := kube.ManageServerSideDiffDryRuns(c.config, resources,
		c.kubectl.Tracer, c.kubectl.Log, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(forget)
	t.Cleanup(forgetToo)
	c.operations, c.parser, c.dryRun = operations, parser, diff.NewK8sServerSideDryRunner(applier)
}

func (c *cluster) apply(t *testing.T, object *unstructured.Unstructured, serverSide bool) {
	t.Helper()
	_, err := c.operations.ApplyResource(context.Background(), object, cmdutil.DryRunNone, false, true,
		serverSide, argoManager)
	if err != nil {
		t.Fatalf("%s %s: %v", object.GetKind(), object.GetName(), err)
	}
}

func crdFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(environment(t, "CUTOVER_REPOSITORY"), "crds", "*.yaml"))
	if err != nil || len(files) != 3 {
		t.Fatalf("%d CRDs: %v", len(files), err)
	}
	return append(files, filepath.Join(environment(t, "CUTOVER_GATEWAY_CRDS"),
		"gateway.networking.k8s.io_httproutes.yaml"))
}

func readManifests(t *testing.T, file string) []*unstructured.Unstructured {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := kube.SplitYAML(text)
	if err != nil || len(objects) == 0 {
		t.Fatalf("%s: %v", file, err)
	}
	return objects
}

// documented is the part of an Application that docs/gitops.md tells people to write.
func documented(t *testing.T) []argo.ResourceIgnoreDifferences {
	t.Helper()
	return examples(t)[0]
}

// documentedForStringData is the same for those who have a Secret in Git as stringData.
func documentedForStringData(t *testing.T) []argo.ResourceIgnoreDifferences {
	t.Helper()
	return examples(t)[1]
}

func examples(t *testing.T) (found [2][]argo.ResourceIgnoreDifferences) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(environment(t, "CUTOVER_REPOSITORY"), "docs", "gitops.md"))
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, part := range strings.Split(string(text), "```yaml\n")[1:] {
		block, _, _ := strings.Cut(part, "```")
		if !strings.Contains(block, "ignoreDifferences:") {
			continue
		}
		var application argo.Application
		if err := yaml.UnmarshalStrict([]byte(block), &application); err != nil {
			t.Fatalf("docs/gitops.md: %v in\n%s", err, block)
		}
		if options := application.Spec.SyncPolicy.SyncOptions; !options.HasOption("RespectIgnoreDifferences=true") {
			t.Errorf("a sync would not respect it: %v", options)
		}
		if count < len(found) {
			found[count] = application.Spec.IgnoreDifferences
		}
		count++
	}
	if count != len(found) || len(found[0]) != 1 || len(found[1]) != 2 {
		t.Fatalf("docs/gitops.md has %d examples of ignoreDifferences: %v", count, found)
	}
	return found
}

// tenant is one on the API server, and what Git says of it.
type tenant struct {
	t         *testing.T
	cluster   *cluster
	way       way
	namespace string
	git       []*unstructured.Unstructured
}

// newTenant makes one in a namespace of its own, that is placed and not moved, of what Git says after
// `edit`, if there is any.
func newTenant(t *testing.T, c *cluster, w way, edit func(*unstructured.Unstructured)) *tenant {
	t.Helper()
	made := &tenant{t: t, cluster: c, way: w}
	space := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace",
		"metadata": map[string]any{"generateName": "drift-"}}}
	created, err := made.client(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}).
		Create(context.Background(), space, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	made.namespace = created.GetName()
	made.git = readManifests(t, "tenant.yaml")
	for _, object := range made.git {
		object.SetNamespace(made.namespace)
		if edit != nil {
			edit(object)
		}
		c.apply(t, object, w.serverSide)
	}
	made.step("place")
	return made
}

func (n *tenant) client(resource schema.GroupVersionResource) dynamic.NamespaceableResourceInterface {
	n.t.Helper()
	client, err := dynamic.NewForConfig(n.cluster.config)
	if err != nil {
		n.t.Fatal(err)
	}
	return client.Resource(resource)
}

// step has the operator's own code take one (move_steps.cc).
func (n *tenant) step(name string) {
	n.t.Helper()
	ledger := filepath.Join(os.TempDir(), n.namespace+".json")
	n.t.Cleanup(func() { os.Remove(ledger) })
	command := exec.Command(environment(n.t, "CUTOVER_MOVE_STEPS"), name, n.namespace, ledger)
	if said, err := command.CombinedOutput(); err != nil {
		n.t.Fatalf("%s: %v: %s", name, err, said)
	}
}

// status gives the migration and the placement what the operator writes into them: a finalizer, and
// the recorded statuses of those names.
func (n *tenant) status(migration, placement string) {
	n.t.Helper()
	text, err := os.ReadFile(environment(n.t, "CUTOVER_OBJECTS"))
	if err != nil {
		n.t.Fatal(err)
	}
	var recorded map[string]map[string]struct {
		Status map[string]any `json:"status"`
	}
	if err := json.Unmarshal(text, &recorded); err != nil {
		n.t.Fatal(err)
	}
	for _, one := range []struct{ plural, name, kind, recorded string }{
		{"tenantmigrations", "acme-to-dedicated", "TenantMigration", migration},
		{"databaseplacements", "acme", "DatabasePlacement", placement},
	} {
		status := recorded[one.kind][one.recorded].Status
		if status == nil {
			n.t.Fatalf("record-objects has no %s %s", one.kind, one.recorded)
		}
		resource := migrationKind.GroupVersion().WithResource(one.plural)
		n.patch(resource, one.name, "cutover", map[string]any{
			"metadata": map[string]any{"finalizers": []string{"cutover.dev/undo"}}})
		n.patch(resource, one.name, "cutover-status", map[string]any{"status": status}, "status")
	}
}

func (n *tenant) patch(resource schema.GroupVersionResource, name, manager string, content any,
	subresources ...string) {
	n.t.Helper()
	patch, err := json.Marshal(content)
	if err != nil {
		n.t.Fatal(err)
	}
	_, err = n.client(resource).Namespace(n.namespace).Patch(context.Background(), name,
		types.MergePatchType, patch, metav1.PatchOptions{FieldManager: manager}, subresources...)
	if err != nil {
		n.t.Fatalf("%s %s: %v", resource.Resource, name, err)
	}
}

// outOfSync asks Argo CD's own comparison of Git with the API server for the kinds that differ.
func (n *tenant) outOfSync(git []*unstructured.Unstructured, ignores []argo.ResourceIgnoreDifferences) []string {
	n.t.Helper()
	// What Argo CD adds by itself (resource.compareoptions.ignoreResourceStatusField: all).
	overrides := map[string]argo.ResourceOverride{
		"*/*": {IgnoreDifferences: argo.OverrideIgnoreDiff{JSONPointers: []string{"/status"}}}}
	config, err := argodiff.NewDiffConfigBuilder().
		WithDiffSettings(ignores, overrides, false, normalizers.IgnoreNormalizerOpts{}).
		WithTracking("", string(argo.TrackingMethodAnnotation)).
		WithNoCache().
		WithGVKParser(n.cluster.parser).
		WithManager(argoManager).
		WithServerSideDiff(n.way.serverSide).
		WithServerSideDryRunner(n.cluster.dryRun).
		Build()
	if err != nil {
		n.t.Fatal(err)
	}
	found := []string{}
	for _, object := range git {
		live, err := n.cluster.kubectl.GetResource(context.Background(), n.cluster.config,
			object.GroupVersionKind(), object.GetName(), n.namespace)
		if err != nil {
			n.t.Fatal(err)
		}
		result, err := argodiff.StateDiff(live, object, config)
		if err != nil {
			n.t.Fatalf("%s %s: %v", object.GetKind(), object.GetName(), err)
		}
		if result.Modified {
			found = append(found, object.GetKind())
		}
	}
	return found
}

func (n *tenant) expect(what string, got, want []string) {
	n.t.Helper()
	if !reflect.DeepEqual(got, want) {
		n.t.Errorf("%s: out of sync are %v, not %v", what, got, want)
	}
}
