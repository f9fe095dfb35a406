# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Tears the cluster down and leaves nothing behind. Needs cluster/{settings,processes}.sh.
#
# Every step works from what is there, not from what `up` should have made: it also clears a cluster
# whose processes were killed or whose bring-up was interrupted anywhere, and doing it twice is
# harmless. A step that fails never keeps the later ones from being taken (`set +e`). The order
# matters: first what would start things anew, then what runs in pods, then what they stand on.

cluster_down() (
  set +e
  rm -rf "$CLUSTER_RUN.partial"
  if [ ! -e "$CLUSTER_RUN" ]; then
    say "the cluster is not up"
    exit 0
  fi
  started=$(now_seconds)
  stop_process kube-controller-manager KILL
  stop_process kube-scheduler KILL
  stop_process local-path-provisioner KILL
  stop_process traefik KILL
  delete_pods
  stop_process kubelet KILL
  stop_process coredns KILL
  remove_service_rules
  stop_process kube-apiserver KILL
  stop_process etcd KILL
  remove_containers
  stop_process containerd TERM
  kill_shims
  kill_pod_processes
  unmount_below_run_directory
  remove_network
  remove_firewall_rules iptables
  remove_firewall_rules ip6tables
  remove_empty_nft_tables
  conntrack -D -s "$CLUSTER_POD_RANGE" >/dev/null 2>&1
  remove_pod_cgroups
  restore_sysctls
  remove_directories
  [ ! -e "$CLUSTER_RUN" ] || die "$CLUSTER_RUN cannot be removed; is something mounted or busy in it?"
  say "the cluster is down after $(seconds_since "$started") s"
)

# Lets the kubelet end the pods in an orderly way, if it and the API server still can.
delete_pods() {
  process_pid kubelet >/dev/null && process_pid containerd >/dev/null || return 0
  cluster_api_answers || return 0
  cluster_kubectl delete pods --all-namespaces --all --grace-period=1 --timeout=30s \
    >/dev/null 2>&1
}

# kube-proxy knows its own rules best; what it does not find, remove_firewall_rules does.
remove_service_rules() {
  stop_process kube-proxy TERM
  [ -x "$BINARIES_DIRECTORY/kube-proxy" ] && [ -f "$CLUSTER_RUN/proxy.yaml" ] || return 0
  "$BINARIES_DIRECTORY/kube-proxy" --config "$CLUSTER_RUN/proxy.yaml" --cleanup >/dev/null 2>&1
}

# Takes tasks and containers out of the image store, so that the next cluster does not find them.
remove_containers() {
  local container
  process_pid containerd >/dev/null || return 0
  cluster_ctr tasks list --quiet 2>/dev/null | while read -r container; do
    cluster_ctr tasks delete --force "$container" >/dev/null 2>&1
  done
  cluster_ctr containers list --quiet 2>/dev/null | while read -r container; do
    cluster_ctr containers delete "$container" >/dev/null 2>&1
  done
}

# Shims outlive containerd by design. Ours are those with our socket in their arguments.
kill_shims() {
  local directory
  for directory in /proc/[0-9]*; do
    [[ $(readlink "$directory/exe" 2>/dev/null) == */containerd-shim* ]] || continue
    if grep -as "$CLUSTER_SOCKET" "$directory/cmdline" >/dev/null; then
      kill -KILL "${directory#/proc/}" 2>/dev/null
    fi
  done
}

# Prints the kubepods directory of each cgroup hierarchy. `up` refused to start beside another
# Kubernetes, so they are ours.
pod_cgroups() { find /sys/fs/cgroup -maxdepth 2 -type d -name kubepods 2>/dev/null; }

# Killing a shim leaves the processes of its container alive: they are found by their cgroup. Again
# and again until none is left, because one may fork between the look and the signal.
kill_pod_processes() {
  local tries pids pid running
  for ((tries = 0; tries < 100; tries++)); do
    pids=$(pod_cgroups | while read -r cgroup; do
      find "$cgroup" -name cgroup.procs -exec cat {} + 2>/dev/null
    done | sort -un)
    running=''
    for pid in $pids; do
      pid_runs "$pid" || continue
      running=$pid
      kill -KILL "$pid" 2>/dev/null
    done
    [ -n "$running" ] || return 0
    sleep 0.05
  done
  say "process $running of a pod does not end; a wait in the kernel?"
}

unmount_below_run_directory() {
  local tries mounts mount
  for ((tries = 0; tries < 5; tries++)); do
    # Longest first: what is mounted inside goes before what it is mounted on.
    mounts=$(awk -v below="$CLUSTER_RUN/" 'index($5, below) == 1 { print length($5), $5 }' \
      /proc/self/mountinfo | sort -rn | cut -d' ' -f2-)
    [ -n "$mounts" ] || return 0
    while read -r mount; do umount -l "$mount" 2>/dev/null; done <<<"$mounts"
  done
}

# The pods' ends of the links go with their namespaces, at leisure; ours are deleted at once.
remove_network() {
  local link
  ip -o link show master "$CLUSTER_BRIDGE" 2>/dev/null | sed -n 's/^[0-9]*: \([^@:]*\).*/\1/p' |
    while read -r link; do ip link delete "$link" 2>/dev/null; done
  ip link delete "$CLUSTER_BRIDGE" 2>/dev/null
}

# remove_firewall_rules iptables|ip6tables: drops every rule and chain of Kubernetes, CNI and ours
# that was not there before.
remove_firewall_rules() {
  local before=$CLUSTER_RUN/before/$1 now
  now=$("$1-save" 2>/dev/null) || return 0
  grep -qE "KUBE-|CNI-|$CLUSTER_RULE_COMMENT" <<<"$now" || return 0
  awk -v ours="KUBE-|CNI-|$CLUSTER_RULE_COMMENT" -v record="$before" '
    function plain(line) { sub(/ \[[0-9]+:[0-9]+\]$/, "", line); return line }
    BEGIN { while ((getline line <record) > 0) before[plain(line)] = 1 }
    $0 !~ ours || plain($0) in before' <<<"$now" | "$1-restore" -w
}

# iptables leaves its tables behind, empty. Those without a rule or chain of anybody's go, unless
# they were there before.
remove_empty_nft_tables() {
  local table hooks='INPUT|OUTPUT|FORWARD|PREROUTING|POSTROUTING' empty
  empty="^(table .*\\{|[[:space:]]*chain ($hooks) \\{|[[:space:]]*type .* hook .*|[[:space:]]*\\}|#.*|[[:space:]]*)\$"
  command -v nft >/dev/null || return 0
  nft list tables | grep -vxFf "$CLUSTER_RUN/before/nft-tables" | while read -r _ table; do
    # shellcheck disable=SC2086 # family and name are two arguments
    if ! nft list table $table 2>/dev/null | grep -vE "$empty" >/dev/null; then
      nft delete table $table 2>/dev/null
    fi
  done
}

remove_pod_cgroups() {
  local tries
  for ((tries = 0; tries < 50; tries++)); do
    pod_cgroups | while read -r cgroup; do
      find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null
    done
    [ -n "$(pod_cgroups)" ] || return 0
    sleep 0.1
  done
  say "control groups of pods are still in use: $(pod_cgroups | tr '\n' ' ')"
}

restore_sysctls() {
  local key value
  while IFS='=' read -r key value; do
    key=${key%% } value=${value## }
    [ "$(sysctl -n "$key" 2>/dev/null)" = "$value" ] || sysctl -q -w "$key=$value"
  done <"$CLUSTER_RUN/before/sysctls"
}

remove_directories() {
  local directory
  while read -r directory; do
    rm -rf --one-file-system "$directory"
  done <"$CLUSTER_RUN/before/absent-directories"
  rm -rf --one-file-system "$CLUSTER_RUN"
}
