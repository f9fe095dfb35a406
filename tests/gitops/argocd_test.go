// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sort"
	"strings"
	"testing"

	argo "github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/lua"
	"github.com/argoproj/gitops-engine/pkg/health"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

const customizations = "deploy/argocd/resource_customizations/cutover.dev"

// The formats of Argo CD's own test files.
type healthTests struct {
	Tests []healthTest `json:"tests"`
}
type healthTest struct {
	InputPath    string              `json:"inputPath"`
	HealthStatus health.HealthStatus `json:"healthStatus"`
}
type actionTests struct {
	DiscoveryTests []discoveryTest `json:"discoveryTests"`
	ActionTests    []actionTest    `json:"actionTests"`
}
type discoveryTest struct {
	InputPath string                `json:"inputPath"`
	Result    []argo.ResourceAction `json:"result"`
}
type actionTest struct {
	Action             string `json:"action"`
	InputPath          string `json:"inputPath"`
	ExpectedOutputPath string `json:"expectedOutputPath"`
}

// vmOf makes Argo CD's Lua machine with what the argocd-cm snippet puts into it, as Argo CD's
// settings do: resource.customizations.health.GROUP_KIND and .actions.GROUP_KIND. The standard
// library is closed, as it is for every script of a ConfigMap.
func vmOf(t *testing.T, snippet string) lua.VM {
	t.Helper()
	var config corev1.ConfigMap
	readYAML(t, snippet, &config)
	overrides := map[string]argo.ResourceOverride{}
	for key, value := range config.Data {
		parts := strings.SplitN(strings.TrimPrefix(key, "resource.customizations."), ".", 2)
		kind := strings.Replace(parts[1], "_", "/", 1)
		override := overrides[kind]
		switch parts[0] {
		case "health":
			override.HealthLua = value
		case "actions":
			override.Actions = value
		default:
			t.Fatalf("%s: unexpected key %s", snippet, key)
		}
		overrides[kind] = override
	}
	return lua.VM{ResourceOverrides: overrides}
}

func argoHealth(t *testing.T, vm lua.VM, object *unstructured.Unstructured) health.HealthStatus {
	t.Helper()
	script, _, err := vm.GetHealthScript(object)
	if err != nil || script == "" {
		t.Fatalf("%s: no health script: %v", object.GetKind(), err)
	}
	status, err := vm.ExecuteHealthLua(object, script)
	if err != nil {
		t.Fatalf("%s: %v", object.GetKind(), err)
	}
	return *status
}

// offered returns the names of the enabled actions, sorted.
func offered(t *testing.T, vm lua.VM, object *unstructured.Unstructured) []string {
	t.Helper()
	names := []string{}
	for _, action := range discover(t, vm, object) {
		if !action.Disabled {
			names = append(names, action.Name)
		}
	}
	return names
}

func discover(t *testing.T, vm lua.VM, object *unstructured.Unstructured) []argo.ResourceAction {
	t.Helper()
	scripts, err := vm.GetResourceActionDiscovery(object)
	if err != nil {
		t.Fatal(err)
	}
	actions, err := vm.ExecuteResourceActionDiscovery(object, scripts)
	if err != nil {
		t.Fatal(err)
	}
	sort.Slice(actions, func(i, j int) bool { return actions[i].Name < actions[j].Name })
	return actions
}

func snippetFile(t *testing.T) string {
	return repositoryFile(t, "deploy", "argocd", "argocd-cm.yaml")
}

func TestArgoCDSaysWhatTheMappingSays(t *testing.T) {
	vm := vmOf(t, snippetFile(t))
	for _, one := range readObjects(t) {
		got := argoHealth(t, vm, one.object)
		if string(got.Status) != one.want.ArgoCD {
			t.Errorf("%s %s: %s, not %s", one.kind, one.name, got.Status, one.want.ArgoCD)
		}
		if got.Message == "" {
			t.Errorf("%s %s: the health says nothing", one.kind, one.name)
		}
	}
}

func TestArgoCDOffersTheActionsThatTheOperatorWouldObey(t *testing.T) {
	vm := vmOf(t, snippetFile(t))
	for _, one := range readObjects(t) {
		if one.kind != "TenantMigration" {
			continue
		}
		sort.Strings(one.want.Actions)
		if got := offered(t, vm, one.object); !reflect.DeepEqual(got, append([]string{}, one.want.Actions...)) {
			t.Errorf("%s: offers %v, not %v", one.name, got, one.want.Actions)
		}
	}
}

// The operator's own decisions are asked: record-objects gives each object each command.
func TestTheOperatorObeysEveryCommandThatIsOffered(t *testing.T) {
	content, err := os.ReadFile(os.Getenv("CUTOVER_OBEYED"))
	if err != nil {
		t.Fatalf("the commands that are obeyed: %v; run tests/gitops/check", err)
	}
	var obeyed map[string][]string
	if err := json.Unmarshal(content, &obeyed); err != nil {
		t.Fatal(err)
	}
	vm := vmOf(t, snippetFile(t))
	missing := map[string]bool{"abort": true, "approve": true, "retry": true, "rollback": true}
	for _, one := range readObjects(t) {
		commands, decided := obeyed[one.name]
		if one.kind != "TenantMigration" || !decided {
			continue
		}
		for _, name := range offered(t, vm, one.object) {
			if name == "suspend" || name == "resume" {
				continue // Fields of the spec, which need no answer.
			}
			delete(missing, name)
			if !slices.Contains(commands, name) {
				t.Errorf("%s: %s is offered, and refused", one.name, name)
			}
		}
	}
	if len(missing) > 0 {
		t.Errorf("never offered: %v", missing)
	}
}

// act runs an action and returns the object that Argo CD would patch ours into.
func act(t *testing.T, vm lua.VM, object *unstructured.Unstructured, name string) *unstructured.Unstructured {
	t.Helper()
	action, err := vm.GetResourceAction(object, name)
	if err != nil {
		t.Fatal(err)
	}
	impacted, err := vm.ExecuteResourceAction(object, action.ActionLua, nil)
	if err != nil || len(impacted) != 1 || impacted[0].K8SOperation != lua.PatchOperation {
		t.Fatalf("%s: %v, %v: not one patch", name, impacted, err)
	}
	return asKubernetesReads(impacted[0].UnstructuredObj.Object)
}

// after is what an action must make of an object, said without Lua.
func after(object *unstructured.Unstructured, action string) *unstructured.Unstructured {
	want := object.DeepCopy()
	if action == "suspend" || action == "resume" {
		_ = unstructured.SetNestedField(want.Object, action == "suspend", "spec", "suspend")
		return want
	}
	annotations := want.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations["cutover.dev/"+action] = "argocd-" + want.GetResourceVersion()
	want.SetAnnotations(annotations)
	return want
}

// The whole object is compared, so an action that touches anything else is seen.
func TestAnActionChangesItsOneFieldAndNothingElse(t *testing.T) {
	vm := vmOf(t, snippetFile(t))
	for _, one := range readObjects(t) {
		for _, name := range one.want.Actions {
			want := after(one.object, name)
			if got := act(t, vm, one.object, name); !reflect.DeepEqual(got.Object, want.Object) {
				t.Errorf("%s %s: %s makes\n%s", one.kind, one.name, name, text(t, got.Object))
			}
		}
	}
}

// A second press of the button is a second command, once the first has been seen.
func TestATokenIsNewAfterEveryChangeOfTheObject(t *testing.T) {
	vm := vmOf(t, snippetFile(t))
	for _, one := range readObjects(t) {
		if one.name != "failed-from-undoing" {
			continue
		}
		first := act(t, vm, one.object, "retry")
		first.SetResourceVersion("4712")
		second := act(t, vm, first, "retry")
		if first.GetAnnotations()["cutover.dev/retry"] == second.GetAnnotations()["cutover.dev/retry"] {
			t.Error("two presses gave one token")
		}
		return
	}
	t.Error("no object failed-from-undoing was recorded")
}

// The files in Argo CD's own formats, for its own runner: what upstream would take.
func TestArgoCDsOwnTestFilesHold(t *testing.T) {
	vm := vmOf(t, snippetFile(t))
	for _, kind := range []string{"TenantMigration", "DatabasePlacement", "DatabaseServer"} {
		directory := repositoryFile(t, customizations, kind)
		var tests healthTests
		readYAML(t, filepath.Join(directory, "health_test.yaml"), &tests)
		for _, test := range tests.Tests {
			got := argoHealth(t, vm, readObject(t, directory, test.InputPath))
			if got != test.HealthStatus {
				t.Errorf("%s %s: %+v, not %+v", kind, test.InputPath, got, test.HealthStatus)
			}
		}
	}
	directory := repositoryFile(t, customizations, "TenantMigration", "actions")
	var tests actionTests
	readYAML(t, filepath.Join(directory, "action_test.yaml"), &tests)
	for _, test := range tests.DiscoveryTests {
		got := discover(t, vm, readObject(t, directory, test.InputPath))
		if !reflect.DeepEqual(got, test.Result) {
			t.Errorf("%s: %+v, not %+v", test.InputPath, got, test.Result)
		}
	}
	for _, test := range tests.ActionTests {
		got := act(t, vm, readObject(t, directory, test.InputPath), test.Action)
		if want := readObject(t, directory, test.ExpectedOutputPath); !reflect.DeepEqual(got, want) {
			t.Errorf("%s %s makes\n%s", test.Action, test.InputPath, text(t, got.Object))
		}
	}
}

func readObject(t *testing.T, directory, name string) *unstructured.Unstructured {
	t.Helper()
	var object map[string]any
	readYAML(t, filepath.Join(directory, name), &object)
	return asKubernetesReads(object)
}

// Faults planted into the snippet and the objects: the judges above would see them.

func TestABrokenScriptIsSeen(t *testing.T) {
	vm := vmOf(t, snippetFile(t))
	key := "cutover.dev/TenantMigration"
	override := vm.ResourceOverrides[key]
	override.HealthLua = strings.ReplaceAll(override.HealthLua, `"Degraded"`, `"Healthy"`)
	vm.ResourceOverrides[key] = override
	for _, one := range readObjects(t) {
		if one.want.ArgoCD == "Degraded" && one.kind == "TenantMigration" {
			if got := argoHealth(t, vm, one.object); string(got.Status) == one.want.ArgoCD {
				t.Errorf("%s: still %s", one.name, got.Status)
			}
		}
	}
}

func TestAScriptHasNoStandardLibrary(t *testing.T) {
	vm := lua.VM{ResourceOverrides: map[string]argo.ResourceOverride{}}
	object := readObjects(t)[0].object
	if _, err := vm.ExecuteHealthLua(object, `return { status = "Healthy", message = io.read() }`); err == nil {
		t.Error("a script may read files: this is not how Argo CD runs ConfigMaps' scripts")
	}
}

func text(t *testing.T, value any) string {
	t.Helper()
	printed, err := yaml.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(printed)
}
