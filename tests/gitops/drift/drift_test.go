// SPDX-License-Identifier: Apache-2.0

package drift

import (
	"strconv"
	"testing"

	argo "github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// change is one that a person makes in Git.
type change struct {
	kind  string
	path  []string
	value any
}

// Of fields that no move touches, in every object.
var ofTheirOwn = []change{
	{"Secret", []string{"data", "password"}, "bmV3"},
	{"ConfigMap", []string{"data", "logging.conf"}, "level = debug"},
	{"Service", []string{"spec", "internalTrafficPolicy"}, "Local"},
	{"Deployment", []string{"spec", "template", "spec", "containers", "1", "image"}, "odoo:20"},
	{"StatefulSet", []string{"spec", "template", "spec", "containers", "0", "image"}, "queue:2"},
	{"CronJob", []string{"spec", "schedule"}, "0 4 * * *"},
	{"Ingress", []string{"metadata", "annotations", "example.com/class"}, "internal"},
	{"HTTPRoute", []string{"spec", "hostnames", "0"}, "b.example.com"},
	{"DatabasePlacement", []string{"spec", "class"}, "Dedicated"},
	{"TenantMigration", []string{"spec", "suspend"}, true},
}

// Of what a move puts back when the doors open.
var ofWhatCameBack = []change{
	{"Deployment", []string{"spec", "replicas"}, int64(5)},
	{"StatefulSet", []string{"spec", "replicas"}, int64(3)},
	{"CronJob", []string{"spec", "suspend"}, true},
	{"Ingress", []string{"spec", "rules", "0", "host"}, "b.example.com"},
	{"HTTPRoute", []string{"spec", "rules", "0", "backendRefs", "0", "port"}, int64(8070)},
}

// Of the wiring.
var ofTheWiring = []change{
	{"Secret", []string{"data", "host"}, "MTAuMS4wLjM="},
	{"ConfigMap", []string{"data", "odoo.conf"}, "[options]\ndb_host = 10.1.0.3\n"},
	{"Deployment", []string{"spec", "template", "spec", "containers", "1", "env", "0", "value"}, "10.1.0.3"},
	{"CronJob", []string{"spec", "jobTemplate", "spec", "template", "spec", "containers", "0", "env",
		"0", "value"}, "10.1.0.3"},
}

// What Argo CD finds changed by the move at each moment, unless it is told to leave it alone.
var (
	byTheDoors  = []string{"Deployment", "StatefulSet", "CronJob", "Ingress", "HTTPRoute"}
	byTheSwitch = []string{"Secret", "ConfigMap", "Deployment", "CronJob"}
	byBoth      = []string{"Secret", "ConfigMap", "Deployment", "StatefulSet", "CronJob", "Ingress",
		"HTTPRoute"}
	nothing = []string{}
)

func kindsOf(changes []change) []string {
	kinds := []string{}
	for _, each := range changes {
		kinds = append(kinds, each.kind)
	}
	return kinds
}

// with is Git after the changes.
func with(t *testing.T, git []*unstructured.Unstructured, changes []change) []*unstructured.Unstructured {
	t.Helper()
	var changed []*unstructured.Unstructured
	for _, object := range git {
		object = object.DeepCopy()
		for _, each := range changes {
			if each.kind == object.GetKind() {
				object.Object = set(t, object.Object, each.path, each.value).(map[string]any)
			}
		}
		changed = append(changed, object)
	}
	return changed
}

// set puts a value into a tree in which numbers lead through lists.
func set(t *testing.T, at any, path []string, value any) any {
	t.Helper()
	if len(path) == 0 {
		return value
	}
	switch node := at.(type) {
	case map[string]any:
		node[path[0]] = set(t, node[path[0]], path[1:], value)
	case []any:
		index, err := strconv.Atoi(path[0])
		if err != nil || index >= len(node) {
			t.Fatalf("no %s in %v", path[0], node)
		}
		node[index] = set(t, node[index], path[1:], value)
	case nil:
		return set(t, map[string]any{}, path, value)
	default:
		t.Fatalf("%v leads nowhere in %v", path, at)
	}
	return at
}

// holds tells the moment's four claims: the planted one first, that there is something to ignore.
func (n *tenant) holds(t *testing.T, moment string, changed []string, ignores []argo.ResourceIgnoreDifferences) {
	t.Helper()
	n.expect(moment+", without the documented rule", n.outOfSync(n.git, nil), changed)
	n.expect(moment+", with it", n.outOfSync(n.git, ignores), nothing)
	theirs := with(t, n.git, ofTheirOwn)
	n.expect(moment+", what people changed in Git", n.outOfSync(theirs, ignores), kindsOf(ofTheirOwn))
}

func TestTheDocumentedRuleHidesWhatAMoveChangesAndNothingElse(t *testing.T) {
	ignores, cluster := documented(t), connect(t)
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			n := newTenant(t, cluster, way, nil)
			n.holds(t, "before the move", nothing, ignores)

			n.step("close")
			n.status("copying", "migrating")
			n.holds(t, "doors closed", byTheDoors, ignores)

			n.step("switch")
			n.status("opening", "migrating")
			n.holds(t, "switched", byBoth, ignores)

			n.step("open")
			n.status("completed-from-completing", "pinned-elsewhere")
			n.holds(t, "moved", byTheSwitch, ignores)
			came := with(t, n.git, ofWhatCameBack)
			n.expect("moved, what came back and then changed in Git", n.outOfSync(came, ignores),
				kindsOf(ofWhatCameBack))
			wired := with(t, n.git, ofTheWiring)
			n.expect("moved, the wiring in Git", n.outOfSync(wired, ignores), nothing)
		})
	}
}

func TestARolledBackTenantIsComparedWithGitAsBefore(t *testing.T) {
	ignores, cluster := documented(t), connect(t)
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			n := newTenant(t, cluster, way, nil)
			for _, step := range []string{"close", "switch", "back", "open"} {
				n.step(step)
			}
			n.status("rolled-back-from-rolling-back", "ready")
			n.holds(t, "rolled back", nothing, ignores)
			for _, changes := range [][]change{ofWhatCameBack, ofTheWiring} {
				changed := with(t, n.git, changes)
				n.expect("rolled back, then changed in Git", n.outOfSync(changed, ignores), kindsOf(changes))
			}
		})
	}
}

// What docs/gitops.md warns of: who owns data.host has not written stringData.host.
func TestASecretThatGitHasAsStringDataNeedsTheRuleOfItsOwn(t *testing.T) {
	ignores, more, cluster := documented(t), documentedForStringData(t), connect(t)
	password := []change{{"Secret", []string{"stringData", "password"}, "new"}}
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			n := newTenant(t, cluster, way, func(object *unstructured.Unstructured) {
				if object.GetKind() == "Secret" {
					delete(object.Object, "data")
					object.Object["stringData"] = map[string]any{
						"host": "10.1.0.1", "password": "p", "user": "acme"}
				}
			})
			n.expect("before the move", n.outOfSync(n.git, ignores), nothing)
			for _, step := range []string{"close", "switch", "open"} {
				n.step(step)
				n.expect(step+", with the rule", n.outOfSync(n.git, more), nothing)
				theirs := with(t, n.git, password)
				n.expect(step+", another password in Git", n.outOfSync(theirs, more), []string{"Secret"})
			}
			n.expect("switched, without it", n.outOfSync(n.git, ignores), []string{"Secret"})
		})
	}
}
