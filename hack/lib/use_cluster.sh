# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# For scripts that need a cluster and do not care whose. Needs lib/common.sh.

# use_cluster: with KUBECONFIG set by the user, uses that cluster and leaves the host alone;
# otherwise brings ours up. Afterwards these are set and exported:
#   KUBECONFIG            the cluster
#   CUTOVER_CLUSTER       own or foreign
#   CUTOVER_INGRESS_URL   where its ingress controller answers; for a foreign cluster as the user
#                         set it, possibly empty (the status of an Ingress tells then)
#   PATH                  finds kubectl and helm
#   KUBECACHEDIR          below our cache, so that kubectl leaves nothing in the home directory
# Ends the script when the user's cluster does not answer.
use_cluster() {
  local own
  own=$("$REPOSITORY/hack/cluster" kubeconfig)
  if [ -n "${KUBECONFIG:-}" ] && [ "$KUBECONFIG" != "$own" ]; then
    CUTOVER_CLUSTER=foreign
    if ! command -v kubectl >/dev/null || ! command -v helm >/dev/null; then
      "$REPOSITORY/hack/cluster" binaries kubectl helm >/dev/null
      PATH=$PATH:$CUTOVER_CACHE/bin
    fi
    kubectl --request-timeout=10s get --raw /readyz >/dev/null ||
      die "the cluster of KUBECONFIG=$KUBECONFIG does not answer; unset it to use a cluster of our own"
    CUTOVER_INGRESS_URL=${CUTOVER_INGRESS_URL:-}
  else
    CUTOVER_CLUSTER=own
    "$REPOSITORY/hack/cluster" up
    KUBECONFIG=$own
    PATH=$CUTOVER_CACHE/bin:$PATH
    CUTOVER_INGRESS_URL=$("$REPOSITORY/hack/cluster" ingress)
  fi
  KUBECACHEDIR=$CUTOVER_CACHE/kubecache
  export KUBECONFIG CUTOVER_CLUSTER CUTOVER_INGRESS_URL PATH KUBECACHEDIR
}
