# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Brings the cluster up. Needs cluster/{settings,processes,files,images}.sh, binaries.sh, images.sh.

# The whole bring-up. What it finds of an earlier cluster that is not whole (interrupted, killed,
# left by a reboot) it tears down first, from that cluster's own record.
cluster_up() {
  local started
  if cluster_is_up; then
    say "the cluster is already up"
    return
  fi
  [ ! -e "$CLUSTER_RUN" ] || cluster_down
  refuse_if_not_alone
  build_binaries
  build_image pause >/dev/null
  build_image tools >/dev/null
  started=$(now_seconds)
  record_host
  write_pki
  write_kubeconfig admin admin
  write_kubeconfig kubelet kubelet
  write_kubeconfig proxy proxy
  write_container_runtime_files
  write_node_files
  write_storage_files
  start_network
  start_containerd
  start_control_plane
  load_image_if_new pause
  load_image_if_new tools
  start_node
  start_add_ons
  touch "$CLUSTER_RUN/complete"
  say "the cluster is up after $(seconds_since "$started") s"
}

# Ends the script if another Kubernetes or another user of our addresses is on this machine: the
# cgroup root and the ports are shared, and `down` would kill what is not ours.
refuse_if_not_alone() {
  local port
  if find /sys/fs/cgroup -path '*/kubepods*' -name cgroup.procs -exec cat {} + 2>/dev/null | grep . >/dev/null; then
    die "pods of another Kubernetes run on this machine; set KUBECONFIG to use that one instead"
  fi
  for port in 10250 10256 10257 10259; do
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      die "port $port is in use, by another Kubernetes? Set KUBECONFIG to use that one instead"
    fi
  done
  if ip -4 -o address | grep -E ' inet 10\.88\.0\.[0-9]+/' >/dev/null; then
    die "this machine has an address in $CLUSTER_POD_RANGE (podman?), which the pods need"
  fi
}

# Records what `down` has to give back, before anything is changed. The directory appears with all
# of the record in it, so a cluster that has a run directory can always be torn down.
record_host() {
  local partial=$CLUSTER_RUN.partial key directory
  # Loaded here, because the bridge sysctls exist only then. A kernel may have both built in.
  modprobe -a br_netfilter overlay 2>/dev/null || true
  rm -rf "$partial"
  mkdir -p "$partial"/{before,pid,log,home,volumes}
  chmod 755 "$partial"
  for key in "${CLUSTER_SYSCTLS[@]}"; do
    sysctl "$key" 2>/dev/null || true
  done >"$partial/before/sysctls"
  { nft list tables 2>/dev/null || true; } >"$partial/before/nft-tables"
  { iptables-save 2>/dev/null || true; } >"$partial/before/iptables"
  { ip6tables-save 2>/dev/null || true; } >"$partial/before/ip6tables"
  for directory in "${CLUSTER_DIRECTORIES[@]}"; do
    [ -e "$directory" ] || echo "$directory"
  done >"$partial/before/absent-directories"
  mv "$partial" "$CLUSTER_RUN"
}

start_network() {
  ip link add "$CLUSTER_BRIDGE" type bridge
  ip address add "$CLUSTER_ADDRESS/24" dev "$CLUSTER_BRIDGE"
  ip link set "$CLUSTER_BRIDGE" up
  # Packets that kube-proxy did not rewrite die here instead of leaving by the default route, and
  # the host gets a source address that pods can answer.
  ip route add "$CLUSTER_SERVICE_RANGE" dev "$CLUSTER_BRIDGE"
  sysctl -q -w net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1
  # Pods reach the pod network and nothing else. Between pods is allowed expressly: a host with
  # Docker drops what it forwards.
  iptables -w -I FORWARD -s "$CLUSTER_POD_RANGE" ! -o "$CLUSTER_BRIDGE" \
    -m comment --comment "$CLUSTER_RULE_COMMENT" -j REJECT
  iptables -w -I FORWARD -i "$CLUSTER_BRIDGE" -o "$CLUSTER_BRIDGE" \
    -m comment --comment "$CLUSTER_RULE_COMMENT" -j ACCEPT
}

# Starts containerd on the lasting image store. Containers that a killed cluster left in the store
# are removed while nobody uses them, and containerd is started again to forget them.
start_containerd() {
  local left
  mkdir -p "$CLUSTER_STORE"
  start_process containerd /usr/bin/containerd --config "$CLUSTER_RUN/containerd/config.toml"
  wait_until 120 "containerd answering" cluster_containerd_answers
  left=$(cluster_ctr containers list --quiet)
  [ -n "$left" ] || return 0
  say "removing $(wc -w <<<"$left") containers that an earlier cluster left in the image store"
  # shellcheck disable=SC2086 # one argument for each container
  cluster_ctr containers delete $left >/dev/null 2>&1 || true
  stop_process containerd TERM
  start_process containerd /usr/bin/containerd --config "$CLUSTER_RUN/containerd/config.toml"
  wait_until 120 "containerd answering" cluster_containerd_answers
}

cluster_containerd_answers() { cluster_ctr version >/dev/null 2>&1; }

# etcd, kube-apiserver, and, once that is ready, controller-manager and scheduler. Everything
# listens on 127.0.0.1 or the bridge, never on the machine's own network.
start_control_plane() {
  local pki=$CLUSTER_RUN/pki bin=$BINARIES_DIRECTORY
  # No fsync: the cluster is disposable.
  start_process etcd "$bin/etcd" --data-dir "$CLUSTER_RUN/etcd" --unsafe-no-fsync --log-level warn \
    --listen-client-urls "$CLUSTER_ETCD_URL" --advertise-client-urls "$CLUSTER_ETCD_URL" \
    --listen-peer-urls "$CLUSTER_ETCD_PEER_URL" \
    --initial-advertise-peer-urls "$CLUSTER_ETCD_PEER_URL" \
    --initial-cluster "default=$CLUSTER_ETCD_PEER_URL"
  start_process kube-apiserver "$bin/kube-apiserver" --etcd-servers "$CLUSTER_ETCD_URL" \
    --bind-address "$CLUSTER_ADDRESS" --advertise-address "$CLUSTER_ADDRESS" \
    --service-cluster-ip-range "$CLUSTER_SERVICE_RANGE" --authorization-mode Node,RBAC \
    --client-ca-file "$pki/ca.crt" --tls-cert-file "$pki/apiserver.crt" \
    --tls-private-key-file "$pki/apiserver.key" --service-account-key-file "$pki/sa.pub" \
    --service-account-signing-key-file "$pki/sa.key" \
    --service-account-issuer https://kubernetes.default.svc \
    --kubelet-client-certificate "$pki/admin.crt" --kubelet-client-key "$pki/admin.key" \
    --kubelet-certificate-authority "$pki/ca.crt" \
    --kubelet-preferred-address-types InternalIP --allow-privileged=true \
    --endpoint-reconciler-type=master-count
  wait_for_port kube-apiserver "$CLUSTER_ADDRESS" 6443
  wait_until 240 "the API server becoming ready" cluster_api_answers
  # The default limits make the first ServiceAccount wait for 5 s.
  start_process kube-controller-manager "$bin/kube-controller-manager" \
    --kubeconfig "$CLUSTER_KUBECONFIG" --bind-address 127.0.0.1 \
    --service-account-private-key-file "$pki/sa.key" --root-ca-file "$pki/ca.crt" \
    --leader-elect=false --use-service-account-credentials --kube-api-qps 300 \
    --kube-api-burst 600 --flex-volume-plugin-dir "$CLUSTER_RUN/volplugins"
  start_process kube-scheduler "$bin/kube-scheduler" --kubeconfig "$CLUSTER_KUBECONFIG" \
    --bind-address 127.0.0.1 --leader-elect=false
}

# kubelet, kube-proxy and DNS; returns when pods would be accepted and scheduled.
start_node() {
  local bin=$BINARIES_DIRECTORY
  start_process kubelet "$bin/kubelet" --config "$CLUSTER_RUN/kubelet.yaml" \
    --kubeconfig "$CLUSTER_RUN/kubelet.kubeconfig" --hostname-override "$CLUSTER_NODE" \
    --node-ip "$CLUSTER_ADDRESS" --root-dir "$CLUSTER_RUN/kubelet"
  start_process kube-proxy "$bin/kube-proxy" --config "$CLUSTER_RUN/proxy.yaml"
  start_process coredns "$bin/coredns" -conf "$CLUSTER_RUN/Corefile"
  wait_until 240 "the node becoming ready" cluster_node_is_ready
  # Pods are refused before their ServiceAccount exists.
  wait_until 240 "the default ServiceAccount appearing" default_service_account_exists
}

default_service_account_exists() {
  cluster_kubectl --namespace default get serviceaccount default >/dev/null 2>&1
}

# Volumes and ingress.
start_add_ons() {
  cluster_kubectl apply --filename "$CLUSTER_RUN/storage.yaml" >/dev/null
  start_process local-path-provisioner "$BINARIES_DIRECTORY/local-path-provisioner" start \
    --config "$CLUSTER_RUN/local-path/config.json" --kubeconfig "$CLUSTER_KUBECONFIG" \
    --namespace local-path-storage --configmap-name local-path-config \
    --service-account-name default --helper-image "$CLUSTER_TOOLS_IMAGE" \
    --helper-pod-file "$CLUSTER_RUN/local-path/helperPod.yaml"
  start_traefik
  wait_for_port coredns "$CLUSTER_ADDRESS" 53
}

# start_traefik [FLAG...]: the ingress controller. It publishes its address in the status of each
# Ingress, which is where scripts find it on any cluster. The throttle of 10 ms instead of 2 s: the
# seconds of closed doors that demo and tests measure shall be ours, not Traefik's.
start_traefik() {
  start_process traefik "$BINARIES_DIRECTORY/traefik" \
    "--entrypoints.web.address=$CLUSTER_ADDRESS:$CLUSTER_INGRESS_PORT" \
    --entrypoints.traefik.address=127.0.0.1:18080 --ping=true \
    --providers.kubernetesingress=true --providers.kubernetesingress.ingressclass=traefik \
    "--providers.kubernetesingress.ingressendpoint.ip=$CLUSTER_ADDRESS" \
    --providers.providersthrottleduration=10ms --global.checknewversion=false \
    --global.sendanonymoususage=false "$@"
  wait_for_port traefik "$CLUSTER_ADDRESS" "$CLUSTER_INGRESS_PORT"
}

# Adds the Gateway API to a running cluster: its CRDs, a GatewayClass, and Traefik serving it.
cluster_enable_gateway_api() {
  local directory
  [ ! -e "$CLUSTER_RUN/gateway-api" ] || return 0
  directory=$(gateway_crds_directory)
  cluster_kubectl apply --server-side --filename "$directory" >/dev/null
  wait_until 120 "the Gateway API being served" cluster_serves_gateway_api
  cluster_kubectl apply --filename - >/dev/null <<'EOF'
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: traefik}
spec: {controllerName: traefik.io/gateway-controller}
EOF
  stop_process traefik KILL
  start_traefik --providers.kubernetesgateway=true \
    "--providers.kubernetesgateway.statusaddress.ip=$CLUSTER_ADDRESS"
  touch "$CLUSTER_RUN/gateway-api"
  say "the Gateway API is enabled (GatewayClass traefik, listener port $CLUSTER_INGRESS_PORT)"
}

# By asking for objects, not by `kubectl wait`, which fails on a CRD that has no conditions yet.
cluster_serves_gateway_api() {
  cluster_kubectl get gatewayclasses,gateways,httproutes --all-namespaces >/dev/null 2>&1
}

# load_archive ARCHIVE: imports an image archive into the store of the running cluster.
load_archive() { cluster_ctr images import "$1" >/dev/null; }

# load_image_if_new NAME: loads our image unless the store has exactly this build under its name.
load_image_if_new() {
  local archive name digest
  archive=$(build_image "$1")
  name=$(image_name "$1")
  digest=$(image_digest "$archive")
  if cluster_ctr images list "name==$name" | grep "$digest" >/dev/null; then
    return 0
  fi
  say "loading $name ..."
  load_archive "$archive"
}
