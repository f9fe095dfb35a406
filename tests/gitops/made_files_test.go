// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/argoproj/gitops-engine/pkg/health"
)

var update = flag.Bool("update", false, "write the files that are made instead of comparing them")

const madeBy = "# SPDX-License-Identifier: Apache-2.0\n" +
	"# Made by tests/gitops/check --update.\n"

// The fixtures are what the operator writes now, Argo CD's test files say what mapping.yaml says,
// and the argocd-cm snippet carries the scripts as they are.
func TestMadeFilesAreCurrent(t *testing.T) {
	made := map[string]string{}
	makeSnippet(t, made)
	if *update { // The health tests' messages are read through it.
		write(t, made)
	}
	makeFixtures(t, made)
	if *update {
		removeStale(t, made)
		write(t, made)
		return
	}
	for file, want := range made {
		got, err := os.ReadFile(repositoryFile(t, file))
		if err != nil || string(got) != want {
			t.Errorf("%s is not current: run tests/gitops/check RECORD_OBJECTS --update, and look", file)
		}
	}
	for _, file := range stale(t, made) {
		t.Errorf("%s is no fixture any more: run tests/gitops/check RECORD_OBJECTS --update", file)
	}
}

func write(t *testing.T, made map[string]string) {
	t.Helper()
	for file, content := range made {
		name := repositoryFile(t, file)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// stale lists fixtures that nobody makes.
func stale(t *testing.T, made map[string]string) []string {
	t.Helper()
	root := repositoryFile(t)
	var files []string
	for _, pattern := range []string{"*/testdata/*.yaml", "*/actions/testdata/*.yaml"} {
		found, err := filepath.Glob(filepath.Join(root, customizations, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range found {
			name, _ := filepath.Rel(root, file)
			if _, ok := made[name]; !ok {
				files = append(files, name)
			}
		}
	}
	return files
}

func removeStale(t *testing.T, made map[string]string) {
	t.Helper()
	for _, file := range stale(t, made) {
		if err := os.Remove(repositoryFile(t, file)); err != nil {
			t.Fatal(err)
		}
	}
}

func indented(t *testing.T, file, indent string) string {
	t.Helper()
	script, err := os.ReadFile(repositoryFile(t, customizations, file))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, line := range strings.Split(strings.TrimRight(string(script), "\n"), "\n") {
		lines = append(lines, strings.TrimRight(indent+line, " "))
	}
	return strings.Join(lines, "\n") + "\n"
}

// makeSnippet writes out what Argo CD's ConfigMap needs, one key for each kind and purpose.
func makeSnippet(t *testing.T, made map[string]string) {
	t.Helper()
	var out strings.Builder
	out.WriteString(madeBy +
		"#\n# Health and actions of our kinds, for Argo CD's own ConfigMap:\n" +
		"#   kubectl -n argocd patch configmap argocd-cm --patch-file deploy/argocd/argocd-cm.yaml\n" +
		"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: argocd-cm\n  namespace: argocd\ndata:\n")
	for _, kind := range []string{"DatabasePlacement", "DatabaseServer", "TenantMigration"} {
		out.WriteString("  resource.customizations.health.cutover.dev_" + kind + ": |\n")
		out.WriteString(indented(t, kind+"/health.lua", "    "))
	}
	out.WriteString("  resource.customizations.actions.cutover.dev_TenantMigration: |\n")
	out.WriteString("    discovery.lua: |\n")
	out.WriteString(indented(t, "TenantMigration/actions/discovery.lua", "      "))
	out.WriteString("    definitions:\n")
	for _, action := range []string{"abort", "approve", "resume", "retry", "rollback", "suspend"} {
		out.WriteString("    - name: " + action + "\n      action.lua: |\n")
		out.WriteString(indented(t, "TenantMigration/actions/"+action+"/action.lua", "        "))
	}
	made["deploy/argocd/argocd-cm.yaml"] = out.String()
}

// triedOn names the one fixture on which Argo CD's own runner tries each action; our tests try all.
var triedOn = map[string]string{
	"abort": "copying", "approve": "awaiting-approval", "resume": "suspended",
	"retry": "failed-from-undoing", "rollback": "smoke", "suspend": "preparing",
}

func makeFixtures(t *testing.T, made map[string]string) {
	t.Helper()
	vm := vmOf(t, snippetFile(t))
	tests := map[string]*healthTests{}
	var actions actionTests
	for _, one := range readObjects(t) {
		fixture := "testdata/" + one.name + ".yaml"
		made[filepath.Join(customizations, one.kind, fixture)] = madeBy + text(t, one.object.Object)
		if tests[one.kind] == nil {
			tests[one.kind] = &healthTests{}
		}
		tests[one.kind].Tests = append(tests[one.kind].Tests, healthTest{fixture, health.HealthStatus{
			Status: health.HealthStatusCode(one.want.ArgoCD), Message: argoHealth(t, vm, one.object).Message}})
		if one.kind == "TenantMigration" {
			input := "../" + fixture
			actions.DiscoveryTests = append(actions.DiscoveryTests,
				discoveryTest{input, discover(t, vm, one.object)})
			for _, action := range one.want.Actions {
				if triedOn[action] != one.name {
					continue
				}
				output := "testdata/" + action + ".yaml"
				made[filepath.Join(customizations, "TenantMigration/actions", output)] =
					madeBy + text(t, after(one.object, action).Object)
				actions.ActionTests = append(actions.ActionTests, actionTest{action, input, output})
			}
		}
	}
	for kind, all := range tests {
		made[filepath.Join(customizations, kind, "health_test.yaml")] = madeBy + text(t, all)
	}
	made[filepath.Join(customizations, "TenantMigration/actions/action_test.yaml")] =
		madeBy + text(t, actions)
}
