// SPDX-License-Identifier: Apache-2.0

// Package gitops holds what GitOps tools make of our objects against mapping.yaml. The judges are
// the tools' own code: Argo CD's Lua runner, kstatus of cli-utils, Flux's status reader. The
// objects come from the operator's own status code (record_objects.cc).
package gitops

import (
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"sort"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// line is one line of mapping.yaml.
type line struct {
	Names   []string `json:"names"`
	Kstatus string   `json:"kstatus"`
	ArgoCD  string   `json:"argocd"`
	Flux    string   `json:"flux"`
	Actions []string `json:"actions"`
}

// recorded is an object with what the tools must make of it.
type recorded struct {
	kind, name string
	object     *unstructured.Unstructured
	want       line
}

func repositoryFile(t *testing.T, elements ...string) string {
	t.Helper()
	root := os.Getenv("CUTOVER_REPOSITORY")
	if root == "" {
		t.Fatal("CUTOVER_REPOSITORY is not set; run tests/gitops/check")
	}
	return filepath.Join(append([]string{root}, elements...)...)
}

func readYAML(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// readObjects returns every recorded object with its line of the mapping, sorted by kind and name.
func readObjects(t *testing.T) []recorded {
	t.Helper()
	text, err := os.ReadFile(os.Getenv("CUTOVER_OBJECTS"))
	if err != nil {
		t.Fatalf("the recorded objects: %v; run tests/gitops/check", err)
	}
	var kinds map[string]map[string]map[string]any
	if err := json.Unmarshal(text, &kinds); err != nil {
		t.Fatal(err)
	}
	var mapping map[string][]line
	readYAML(t, "mapping.yaml", &mapping)
	var all []recorded
	for kind, objects := range kinds {
		for name, object := range objects {
			want := find(t, mapping[kind], kind, name)
			all = append(all, recorded{kind, name, asKubernetesReads(object), want})
		}
	}
	sort.Slice(all, func(i, j int) bool {
		return all[i].kind+"/"+all[i].name < all[j].kind+"/"+all[j].name
	})
	return all
}

// asKubernetesReads makes integers of whole numbers, as the API machinery's own decoder does.
func asKubernetesReads(object map[string]any) *unstructured.Unstructured {
	text, _ := json.Marshal(object)
	read := &unstructured.Unstructured{}
	if err := read.UnmarshalJSON(text); err != nil {
		panic(err)
	}
	return read
}

func find(t *testing.T, lines []line, kind, name string) line {
	t.Helper()
	for _, line := range lines {
		for _, pattern := range line.Names {
			if matched, _ := path.Match(pattern, name); matched {
				return line
			}
		}
	}
	t.Fatalf("mapping.yaml says nothing about %s %s", kind, name)
	return line{}
}

func TestEveryLineOfTheMappingIsAboutSomeObject(t *testing.T) {
	var mapping map[string][]line
	readYAML(t, "mapping.yaml", &mapping)
	used := map[string]bool{}
	for _, one := range readObjects(t) {
		used[one.kind+one.want.Names[0]] = true
	}
	for kind, lines := range mapping {
		for _, line := range lines {
			if !used[kind+line.Names[0]] {
				t.Errorf("mapping.yaml: no %s is named like %v", kind, line.Names)
			}
		}
	}
}
