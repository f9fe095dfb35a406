// SPDX-License-Identifier: Apache-2.0

// Package schema judges the chart's dashboards by Grafana's own schema, as its Foundation SDK
// carries it: what Grafana does not know, it ignores without a word when it loads a dashboard. The
// SDK does not look into a panel's fieldConfig; units there are judged by the linter.
package schema

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func TestMain(m *testing.M) {
	plugins.RegisterDefaultPlugins()
	os.Exit(m.Run())
}

// judge returns what is unknown, of a wrong type or missing in a dashboard, or nil.
func judge(text string) error {
	var board dashboard.Dashboard
	if err := board.UnmarshalJSONStrict([]byte(text)); err != nil {
		return err
	}
	return board.Validate()
}

// dashboards returns the texts of the chart's, by file name.
func dashboards(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob("../../../charts/cutover/dashboards/*.json")
	if err != nil || len(paths) != 3 {
		t.Fatalf("the chart has %d dashboards (%v)", len(paths), err)
	}
	texts := map[string]string{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		texts[filepath.Base(path)] = string(text)
	}
	return texts
}

func TestGrafanaKnowsEverythingInADashboard(t *testing.T) {
	for name, text := range dashboards(t) {
		if err := judge(text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAWrongDashboardWouldBeSeen(t *testing.T) {
	ours := dashboards(t)["fleet.json"]
	for _, fault := range []struct{ what, ours, wrong string }{
		{"a field of a panel that there is not", `"description": "Where`, `"descriptoin": "Where`},
		{"a field of a query that there is not", `"legendFormat"`, `"legendformat"`},
		{"an option that this kind of panel lacks", `"mergeValues"`, `"mergedValues"`},
		{"a number that is a text", `"schemaVersion": 39`, `"schemaVersion": "39"`},
	} {
		if !strings.Contains(ours, fault.ours) {
			t.Errorf("%s: no dashboard has %s", fault.what, fault.ours)
		} else if judge(strings.ReplaceAll(ours, fault.ours, fault.wrong)) == nil {
			t.Errorf("not seen: %s", fault.what)
		}
	}
}
