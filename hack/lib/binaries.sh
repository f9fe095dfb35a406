# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Builds the cluster's programs from Go modules into the cache. Needs lib/common.sh and lib/go.sh.
#
# Each program is one row of the table in binary_row. Its key is made of the module files and the
# build flags, never of these scripts' bytes: editing a script rebuilds nothing, and changing one
# component's pin rebuilds that component alone. Programs of one module share its go.mod, so the
# six of Kubernetes move together, as they should.

BINARIES_API=(kube-apiserver etcd kubectl)
BINARIES_ALL=("${BINARIES_API[@]}" kube-controller-manager kube-scheduler kubelet kube-proxy
  coredns local-path-provisioner helm traefik)
# What only tests of the chart, its dashboards and the plugin's archive run; built when they ask for it.
BINARIES_CHART=(helm-unittest helm-docs dashboard-linter krew validate-krew-manifest)
BINARIES_DIRECTORY=$CUTOVER_CACHE/bin

# binary_row NAME: prints "module<TAB>package<TAB>ldflags".
binary_row() {
  local component=k8s.io/component-base/version client=k8s.io/client-go/pkg/version
  local minor=${KUBERNETES_VERSION#1.}
  minor=${minor%%.*}
  # Without these flags the programs of Kubernetes call themselves v0.0.0-master, and the kubelet
  # is then refused by version checks.
  local kubernetes="-s -w -X $component.gitVersion=v$KUBERNETES_VERSION -X $component.gitMajor=1"
  kubernetes+=" -X $component.gitMinor=$minor -X $client.gitVersion=v$KUBERNETES_VERSION"
  case $1 in
    kube-* | kubelet | kubectl) printf 'kubernetes\tk8s.io/kubernetes/cmd/%s\t%s' "$1" "$kubernetes" ;;
    etcd) printf 'etcd\tgo.etcd.io/etcd/server/v3\t-s -w' ;;
    coredns) printf 'coredns\tgithub.com/coredns/coredns\t-s -w' ;;
    traefik) printf 'traefik\tgithub.com/traefik/traefik/v3/cmd/traefik\t-s -w' ;;
    local-path-provisioner)
      printf 'local-path-provisioner\tgithub.com/rancher/local-path-provisioner\t-s -w'
      ;;
    helm)
      printf 'helm\thelm.sh/helm/v3/cmd/helm\t-s -w -X helm.sh/helm/v3/internal/version.version=v%s' \
        "$HELM_VERSION"
      ;;
    helm-unittest) printf 'helm-unittest\tgithub.com/helm-unittest/helm-unittest/cmd/helm-unittest\t-s -w' ;;
    helm-docs) printf 'helm-docs\tgithub.com/norwoodj/helm-docs/cmd/helm-docs\t-s -w' ;;
    dashboard-linter) printf 'dashboard-linter\tgithub.com/grafana/dashboard-linter\t-s -w' ;;
    krew)
      printf 'krew\tsigs.k8s.io/krew/cmd/krew\t-s -w -X %s.gitTag=v%s' \
        sigs.k8s.io/krew/internal/version "$KREW_VERSION"
      ;;
    validate-krew-manifest) printf 'krew\tsigs.k8s.io/krew/cmd/validate-krew-manifest\t-s -w' ;;
    *) die "no program named '$1' is known; known are: ${BINARIES_ALL[*]} ${BINARIES_CHART[*]}" ;;
  esac
}

# binary_key NAME: prints the key under which the program is kept.
binary_key() {
  local module
  module=$(binary_row "$1" | cut -f1)
  { binary_row "$1" && cat "$REPOSITORY/hack/modules/$module/go.mod" \
    "$REPOSITORY/hack/modules/$module/go.sum"; } | content_key
}

# Builds one program unless the cache has it, and points bin/NAME at it. Safe to run at the same
# time in several processes: the second waits and finds it built.
build_binary() {
  local name=$1 key path
  key=$(binary_key "$name")
  path=$CUTOVER_CACHE/binaries/$name-$key
  if [ ! -x "$path" ]; then
    with_lock "binary-$name" build_binary_locked "$name" "$path"
  fi
  if [ "$(readlink "$BINARIES_DIRECTORY/$name" 2>/dev/null)" != "$path" ]; then
    mkdir -p "$BINARIES_DIRECTORY"
    ln -sfn "$path" "$BINARIES_DIRECTORY/.$name.$$"
    mv -T "$BINARIES_DIRECTORY/.$name.$$" "$BINARIES_DIRECTORY/$name"
  fi
}

# The part of build_binary under the lock. Writes beside the final name and renames, so that a
# build that is killed leaves no program that only looks complete.
build_binary_locked() {
  local name=$1 path=$2 module package ldflags started partial
  [ ! -x "$path" ] || return 0
  IFS=$'\t' read -r module package ldflags < <(binary_row "$name" && echo)
  started=$(now_seconds)
  say "building $name (module $module) ..."
  mkdir -p "$CUTOVER_CACHE/binaries"
  partial=$path.partial
  (
    cd "$REPOSITORY/hack/modules/$module" || exit
    CGO_ENABLED=0 cutover_go build -trimpath -buildvcs=false -mod=readonly -ldflags "$ldflags" \
      -o "$partial" "$package"
  )
  mv "$partial" "$path"
  say "built $name in $(seconds_since "$started") s"
}

# build_binaries [NAME...]: makes sure of the named programs (all without names), in that order.
build_binaries() {
  local name
  [ $# -gt 0 ] || set -- "${BINARIES_ALL[@]}"
  for name in "$@"; do build_binary "$name"; done
}

# Removes what is not needed once everything is built: several GB of Go's caches, and programs that
# bin/ no longer points at. Not done by itself, because it makes the next change of a pin slower.
prune_cache() {
  local program
  for program in "$CUTOVER_CACHE"/binaries/*; do
    [ "$(readlink "$BINARIES_DIRECTORY/$(basename "${program%-*}")" 2>/dev/null)" = "$program" ] ||
      rm -f "$program"
  done
  rm -rf "$CUTOVER_CACHE/go/build" "$CUTOVER_CACHE/go/modules"
  say "the cache is now $(du -sh "$CUTOVER_CACHE" 2>/dev/null | cut -f1)"
}

# write_module NAME IMPORT_PATHS REQUIREMENT...: makes hack/modules/NAME from a pin. tools.go
# imports the main packages so that `go mod tidy` records the sums of all they need: `go get` of
# the module alone leaves go.sum incomplete. attested.sum, where a module has one, holds sums that the
# checksum database may not know, with their public witnesses; whatever else go.sum needs is asked of it.
write_module() {
  local name=$1 imports=$2 directory=$REPOSITORY/hack/modules/$1 package requirement
  shift 2
  mkdir -p "$directory"
  {
    printf 'module cutover.local/hack/%s\n\ngo 1.24.0\n\nrequire (\n' "$name"
    for requirement in "$@"; do printf '\t%s\n' "$requirement"; done
    printf ')\n'
    case $name in
      kubernetes) kubernetes_replacements ;;
      traefik) inherited_directives "github.com/traefik/traefik/v3@v$TRAEFIK_VERSION" ;;
      helm-unittest)
        inherited_directives "github.com/helm-unittest/helm-unittest@v$HELM_UNITTEST_VERSION"
        ;;
    esac
  } >"$directory/go.mod"
  {
    printf '// SPDX-License-Identifier: Apache-2.0\n\n//go:build tools\n\n'
    printf '// Names the programs that hack/cluster builds, so that go.sum covers what they need.\n'
    printf 'package tools\n\nimport (\n'
    for package in $imports; do printf '\t_ "%s"\n' "$package"; done
    printf ')\n'
  } >"$directory/tools.go"
  rm -f "$directory/go.sum"
  [ ! -f "$directory/attested.sum" ] || sed '/^#/d' "$directory/attested.sum" >"$directory/go.sum"
  (cd "$directory" && cutover_go mod tidy)
}

# Kubernetes points its staging modules at ./staging/src/..., which only its own checkout has:
# each is replaced by the module published for the same release (1.X.Y -> 0.X.Y).
kubernetes_replacements() {
  local go_mod
  go_mod=$(module_go_mod "k8s.io/kubernetes@v$KUBERNETES_VERSION")
  printf '\nreplace (\n'
  sed -n "s#^[[:space:]]*\(k8s.io/[^ ]*\) => ./staging/src/.*#\t\1 => \1 v0.${KUBERNETES_VERSION#1.}#p" \
    "$go_mod"
  printf ')\n'
}

# inherited_directives MODULE@VERSION: prints the replace and exclude directives of a module's own
# go.mod. Go heeds them only in the main module, and without them some programs do not build.
inherited_directives() {
  local go_mod
  go_mod=$(module_go_mod "$1")
  printf '\n'
  sed -n '/^replace (/,/^)/p; /^replace [^(]/p; /^exclude (/,/^)/p; /^exclude [^(]/p' "$go_mod"
}

# module_go_mod MODULE@VERSION: prints the path of the module's go.mod in the module cache.
module_go_mod() {
  cutover_go mod download -json "$1" | sed -n 's/.*"GoMod": "\(.*\)".*/\1/p'
}

# pin_modules [NAME...]: rewrites the module files from hack/versions.
pin_modules() {
  local name command commands=''
  [ $# -gt 0 ] || set -- kubernetes etcd coredns local-path-provisioner helm traefik \
    "${BINARIES_CHART[@]}"
  for name in "$@"; do
    say "pinning $name ..."
    case $name in
      kubernetes)
        for command in kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl; do
          commands+=" k8s.io/kubernetes/cmd/$command"
        done
        write_module kubernetes "$commands" "k8s.io/kubernetes v$KUBERNETES_VERSION"
        ;;
      etcd) write_module etcd go.etcd.io/etcd/server/v3 "go.etcd.io/etcd/server/v3 v$ETCD_VERSION" ;;
      coredns)
        write_module coredns github.com/coredns/coredns "github.com/coredns/coredns v$COREDNS_VERSION"
        ;;
      local-path-provisioner)
        write_module "$name" github.com/rancher/local-path-provisioner \
          "github.com/rancher/local-path-provisioner v$LOCAL_PATH_VERSION"
        ;;
      helm) write_module helm helm.sh/helm/v3/cmd/helm "helm.sh/helm/v3 v$HELM_VERSION" ;;
      traefik)
        write_module traefik github.com/traefik/traefik/v3/cmd/traefik \
          "github.com/traefik/traefik/v3 v$TRAEFIK_VERSION"
        ;;
      helm-unittest)
        write_module "$name" github.com/helm-unittest/helm-unittest/cmd/helm-unittest \
          "github.com/helm-unittest/helm-unittest v$HELM_UNITTEST_VERSION"
        ;;
      helm-docs)
        write_module "$name" github.com/norwoodj/helm-docs/cmd/helm-docs \
          "github.com/norwoodj/helm-docs v$HELM_DOCS_VERSION"
        ;;
      dashboard-linter)
        write_module "$name" github.com/grafana/dashboard-linter \
          "github.com/grafana/dashboard-linter v$DASHBOARD_LINTER_VERSION"
        ;;
      krew) write_module krew sigs.k8s.io/krew/cmd/krew "sigs.k8s.io/krew v$KREW_VERSION" ;;
      *) die "no module named '$name' is pinned here" ;;
    esac
  done
}

# Prints the directory of the Gateway API's standard CRDs, fetching the module if need be.
gateway_crds_directory() {
  local directory
  directory=$(cutover_go mod download -json "sigs.k8s.io/gateway-api@v$GATEWAY_API_VERSION" |
    sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
  [ -d "$directory/config/crd/standard" ] ||
    die "the module sigs.k8s.io/gateway-api v$GATEWAY_API_VERSION could not be fetched; is the network there?"
  printf '%s\n' "$directory/config/crd/standard"
}

# Prints the directory of the Prometheus Operator's CRDs, fetching the module if need be.
monitoring_crds_directory() {
  local directory
  directory=$(cutover_go mod download -json \
    "github.com/prometheus-operator/prometheus-operator@v$PROMETHEUS_OPERATOR_VERSION" |
    sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
  [ -d "$directory/example/prometheus-operator-crd" ] ||
    die "the module prometheus-operator v$PROMETHEUS_OPERATOR_VERSION could not be fetched; is the network there?"
  printf '%s\n' "$directory/example/prometheus-operator-crd"
}
