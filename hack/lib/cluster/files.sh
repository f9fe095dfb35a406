# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Writes the cluster's certificates, kubeconfigs and configuration files below the run directory.
# Needs cluster/settings.sh.

# One authority for everything, made anew by each `up`: nothing outlives the cluster.
write_pki() {
  local pki=$CLUSTER_RUN/pki
  mkdir -p "$pki"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
    -subj /CN=cutover-cluster -keyout "$pki/ca.key" -out "$pki/ca.crt" 2>/dev/null
  write_certificate apiserver /CN=kube-apiserver "DNS:localhost,DNS:kubernetes,\
DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,\
IP:127.0.0.1,IP:10.96.0.1,IP:$CLUSTER_ADDRESS"
  write_certificate admin /O=system:masters/CN=admin
  write_certificate kubelet "/O=system:nodes/CN=system:node:$CLUSTER_NODE" \
    "DNS:$CLUSTER_NODE,IP:127.0.0.1,IP:$CLUSTER_ADDRESS"
  write_certificate proxy /CN=system:kube-proxy
  openssl genrsa -out "$pki/sa.key" 2048 2>/dev/null
  openssl rsa -in "$pki/sa.key" -pubout -out "$pki/sa.pub" 2>/dev/null
}

# write_certificate NAME SUBJECT [ALTERNATIVE_NAMES]
write_certificate() {
  local pki=$CLUSTER_RUN/pki name=$1 subject=$2
  {
    echo 'extendedKeyUsage=serverAuth,clientAuth'
    [ -z "${3:-}" ] || echo "subjectAltName=$3"
  } >"$pki/$name.ext"
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$subject" \
    -keyout "$pki/$name.key" -out "$pki/$name.csr" 2>/dev/null
  openssl x509 -req -in "$pki/$name.csr" -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -CAcreateserial \
    -days 3650 -extfile "$pki/$name.ext" -out "$pki/$name.crt" 2>/dev/null
  rm "$pki/$name.csr" "$pki/$name.ext"
}

# write_kubeconfig NAME CERTIFICATE: self-contained, so that it can be copied elsewhere.
write_kubeconfig() {
  local pki=$CLUSTER_RUN/pki file=$CLUSTER_RUN/$1.kubeconfig
  cat >"$file.partial" <<EOF
apiVersion: v1
kind: Config
clusters:
- name: cutover
  cluster:
    server: $CLUSTER_API_URL
    certificate-authority-data: $(base64 -w0 <"$pki/ca.crt")
users:
- name: $2
  user:
    client-certificate-data: $(base64 -w0 <"$pki/$2.crt")
    client-key-data: $(base64 -w0 <"$pki/$2.key")
contexts:
- name: cutover
  context: {cluster: cutover, user: $2}
current-context: cutover
EOF
  chmod 600 "$file.partial"
  mv "$file.partial" "$file"
}

write_container_runtime_files() {
  mkdir -p "$CLUSTER_RUN/cni" "$CLUSTER_RUN/containerd"
  cat >"$CLUSTER_RUN/cni/10-bridge.conflist" <<EOF
{"cniVersion": "0.4.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "$CLUSTER_BRIDGE", "isGateway": true, "ipMasq": false,
   "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "$CLUSTER_POD_RANGE"}]],
            "routes": [{"dst": "0.0.0.0/0"}], "dataDir": "$CLUSTER_RUN/cni-ipam"}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
EOF
  # restrict_oom_score_adj: root in a sandbox or container may lack CAP_SYS_RESOURCE, and then no
  # container starts. The network namespaces are mounted below our state directory, so that `down`
  # finds them.
  cat >"$CLUSTER_RUN/containerd/config.toml" <<EOF
version = 2
root = "$CLUSTER_STORE"
state = "$CLUSTER_RUN/containerd/state"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
  address = "$CLUSTER_SOCKET"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$CLUSTER_PAUSE_IMAGE"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$CLUSTER_RUN/cni"
EOF
}

write_node_files() {
  # imageGCHighThresholdPercent: images cannot be pulled again, so they are never collected.
  # syncFrequency: the default of a minute makes tests of mounted ConfigMaps and Secrets wait.
  cat >"$CLUSTER_RUN/kubelet.yaml" <<EOF
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $CLUSTER_ADDRESS
failSwapOn: false
failCgroupV1: false
cgroupDriver: cgroupfs
enforceNodeAllocatable: []
containerRuntimeEndpoint: unix://$CLUSTER_SOCKET
authentication: {x509: {clientCAFile: $CLUSTER_RUN/pki/ca.crt}, anonymous: {enabled: false}, webhook: {enabled: true}}
authorization: {mode: Webhook}
tlsCertFile: $CLUSTER_RUN/pki/kubelet.crt
tlsPrivateKeyFile: $CLUSTER_RUN/pki/kubelet.key
clusterDNS: ["$CLUSTER_ADDRESS"]
clusterDomain: cluster.local
resolvConf: ""
evictionHard: {}
imageGCHighThresholdPercent: 100
localStorageCapacityIsolation: false
makeIPTablesUtilChains: false
podLogsDir: $CLUSTER_RUN/podlogs
volumePluginDir: $CLUSTER_RUN/volplugins
syncFrequency: 5s
EOF
  # conntrack 0 = leave the host's sysctls alone. minSyncPeriod 10ms: with the default of 1 s the
  # second change of a Service within a second takes a second.
  cat >"$CLUSTER_RUN/proxy.yaml" <<EOF
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
clientConnection: {kubeconfig: $CLUSTER_RUN/proxy.kubeconfig}
hostnameOverride: $CLUSTER_NODE
clusterCIDR: $CLUSTER_POD_RANGE
healthzBindAddress: 127.0.0.1:10256
nodePortAddresses: [127.0.0.0/8, $CLUSTER_ADDRESS/32]
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
iptables: {minSyncPeriod: 10ms}
EOF
  # No `forward`: nothing outside the cluster resolves.
  cat >"$CLUSTER_RUN/Corefile" <<EOF
.:53 {
  bind $CLUSTER_ADDRESS
  errors
  kubernetes cluster.local {
    kubeconfig $CLUSTER_KUBECONFIG cutover
    ttl 1
  }
}
EOF
}

write_storage_files() {
  mkdir -p "$CLUSTER_RUN/local-path"
  cat >"$CLUSTER_RUN/local-path/config.json" <<EOF
{"nodePathMap": [{"node": "DEFAULT_PATH_FOR_NON_LISTED_NODES", "paths": ["$CLUSTER_RUN/volumes"]}]}
EOF
  cat >"$CLUSTER_RUN/local-path/helperPod.yaml" <<EOF
apiVersion: v1
kind: Pod
metadata: {name: helper-pod}
spec:
  containers:
  - {name: helper-pod, image: $CLUSTER_TOOLS_IMAGE, imagePullPolicy: Never}
EOF
  cat >"$CLUSTER_RUN/storage.yaml" <<'EOF'
apiVersion: v1
kind: Namespace
metadata: {name: local-path-storage}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: local-path
  annotations: {storageclass.kubernetes.io/is-default-class: "true"}
provisioner: rancher.io/local-path
volumeBindingMode: WaitForFirstConsumer
reclaimPolicy: Delete
---
apiVersion: v1
kind: ConfigMap
metadata: {name: local-path-config, namespace: local-path-storage}
data:
  setup: |
    #!/bin/sh
    set -eu
    mkdir -m 0777 -p "$VOL_DIR"
  teardown: |
    #!/bin/sh
    set -eu
    rm -rf "$VOL_DIR"
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata:
  name: traefik
  annotations: {ingressclass.kubernetes.io/is-default-class: "true"}
spec: {controller: traefik.io/ingress-controller}
EOF
}
