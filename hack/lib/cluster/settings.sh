# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
#
# Where the test cluster lives and what it is called. One cluster per machine: the bridge, the
# addresses, the ports and the kubelet's cgroup root are shared by everything on it.

# Everything that lasts as long as the cluster: state, sockets, logs, volumes. Wiped by `down`. Not
# below /run, which is memory on most machines, nor below the cache, which survives `down`.
CLUSTER_RUN=/var/lib/cutover-cluster
# containerd's images outlive the cluster: importing them is what takes long.
CLUSTER_STORE=$CUTOVER_CACHE/containerd
CLUSTER_KUBECONFIG=$CLUSTER_RUN/admin.kubeconfig
CLUSTER_SOCKET=$CLUSTER_RUN/containerd/containerd.sock
CLUSTER_LOCK=/run/lock/cutover-cluster.lock

CLUSTER_BRIDGE=cutover0
CLUSTER_POD_RANGE=10.88.0.0/24
CLUSTER_SERVICE_RANGE=10.96.0.0/16
CLUSTER_ADDRESS=10.88.0.1
CLUSTER_API_URL=https://$CLUSTER_ADDRESS:6443
CLUSTER_INGRESS_PORT=8000
CLUSTER_INGRESS_URL=http://$CLUSTER_ADDRESS:$CLUSTER_INGRESS_PORT
# Not etcd's usual port: tests start an etcd of their own there.
CLUSTER_ETCD_URL=http://127.0.0.1:22379
CLUSTER_ETCD_PEER_URL=http://127.0.0.1:22380
CLUSTER_NODE=local
# Marks our own firewall rules, so that `down` finds them.
CLUSTER_RULE_COMMENT=cutover-cluster

CLUSTER_PAUSE_IMAGE=cutover.local/pause:1
CLUSTER_TOOLS_IMAGE=cutover.local/tools:dev

# What kubelet and kube-proxy change on the host; recorded by `up`, restored by `down`.
CLUSTER_SYSCTLS=(
  vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops
  kernel.keys.root_maxkeys kernel.keys.root_maxbytes
  net.ipv4.ip_forward net.ipv4.conf.all.route_localnet
  net.bridge.bridge-nf-call-iptables net.bridge.bridge-nf-call-ip6tables
)
# Directories that the components make in fixed places; those that were not there go with `down`.
CLUSTER_DIRECTORIES=(
  /var/lib/kubelet /var/log/pods /var/log/containers /var/lib/cni /run/containerd
  /opt/containerd /usr/libexec/kubernetes /run/netns
)

# cluster_kubectl ARGUMENT...: kubectl as the cluster's administrator, without traces in $HOME.
cluster_kubectl() {
  KUBECACHEDIR=$CLUSTER_RUN/kubecache "$BINARIES_DIRECTORY/kubectl" --kubeconfig "$CLUSTER_KUBECONFIG" "$@"
}

# cluster_ctr ARGUMENT...: containerd's client in the namespace that the kubelet uses.
cluster_ctr() { ctr --address "$CLUSTER_SOCKET" --namespace k8s.io "$@"; }

# True when the API server of our cluster answers and the node is ready.
cluster_is_up() {
  [ -f "$CLUSTER_RUN/complete" ] && [ -f "$CLUSTER_KUBECONFIG" ] && cluster_api_answers &&
    cluster_node_is_ready
}

cluster_api_answers() { cluster_kubectl --request-timeout=5s get --raw /readyz >/dev/null 2>&1; }

cluster_node_is_ready() {
  [ "$(cluster_kubectl --request-timeout=5s get node "$CLUSTER_NODE" --output \
    'jsonpath={.status.conditions[?(@.type=="Ready")].status}' 2>/dev/null)" = True ]
}
