// SPDX-License-Identifier: Apache-2.0

//go:build tools

// Names the programs that hack/cluster builds, so that go.sum covers what they need.
package tools

import (
	_ "github.com/grafana/dashboard-linter"
)
