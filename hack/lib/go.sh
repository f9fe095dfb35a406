# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Finds or fetches a Go that is new enough, and runs it with our own caches. Needs lib/common.sh.

# Where the fetched toolchain is unpacked.
GO_FETCHED=$CUTOVER_CACHE/go/toolchain-$GO_TOOLCHAIN_VERSION

# go_is_new_enough PROGRAM: true when PROGRAM is a Go of at least GO_VERSION_MIN.
go_is_new_enough() {
  local version
  version=$(GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null) || return 1
  [ "$(printf '%s\n%s\n' "$GO_VERSION_MIN" "${version#go}" | sort -V | head -n1)" = "$GO_VERSION_MIN" ]
}

# Prints the go program to use. Fails when there is none; hack/prerequisites makes one.
find_go() {
  local candidate
  for candidate in "$GO_FETCHED/bin/go" "$(command -v go || true)" /usr/local/go/bin/go; do
    if [ -n "$candidate" ] && [ -x "$candidate" ] && go_is_new_enough "$candidate"; then
      printf '%s\n' "$candidate"
      return
    fi
  done
  return 1
}

# cutover_go ARGUMENT...: runs Go with module and build caches inside ours, so that removing
# $CUTOVER_CACHE removes everything (modules are kept writable for that).
cutover_go() {
  local go
  go=$(find_go) || die "no Go >= $GO_VERSION_MIN found; run hack/prerequisites"
  GOTOOLCHAIN=local GOMODCACHE=$CUTOVER_CACHE/go/modules GOCACHE=$CUTOVER_CACHE/go/build \
    GOFLAGS=-modcacherw GOWORK=off "$go" "$@"
}
