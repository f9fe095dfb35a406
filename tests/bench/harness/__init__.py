# SPDX-License-Identifier: Apache-2.0
"""What the programs in tests/bench share. Python's standard library only."""
