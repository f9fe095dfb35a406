# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Starts, watches and stops the cluster's host processes. Needs cluster/settings.sh.
#
# A process is known by its pid file, which holds the pid and the program's path. It counts as ours
# only while /proc/PID/exe is that program: a pid may have been given to somebody else meanwhile.

# start_process NAME PROGRAM ARGUMENT...: starts PROGRAM in a session of its own with its output in
# log/NAME.log. The environment is empty but for a PATH and a home below the run directory, so that
# neither the user's settings leak in nor caches leak out.
start_process() {
  local name=$1 program
  program=$(readlink -f "$2")
  shift 2
  (
    cd "$CLUSTER_RUN" || exit
    # shellcheck disable=SC2016 # the inner shell expands it
    exec setsid env -i PATH=/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin \
      HOME="$CLUSTER_RUN/home" KUBECONFIG="$CLUSTER_KUBECONFIG" \
      bash -c 'printf "%s %s\n" "$$" "$2" >"$1" && shift && exec "$@"' start \
      "$CLUSTER_RUN/pid/$name" "$program" "$@" \
      </dev/null >>"$CLUSTER_RUN/log/$name.log" 2>&1
  ) &
}

# Prints the pid of the named process if it is running and ours; otherwise fails.
process_pid() {
  local pid program
  read -r pid program 2>/dev/null <"$CLUSTER_RUN/pid/$1" || return 1
  pid_runs "$pid" || return 1
  [ "$(readlink "/proc/$pid/exe" 2>/dev/null)" = "$program" ] || return 1
  printf '%s\n' "$pid"
}

# pid_runs PID: false for a zombie too. A killed process may stay one until init reaps it, and
# holds nothing any more.
pid_runs() {
  local state
  state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null) || return 1
  [ -n "$state" ] && [ "$state" != Z ] && [ "$state" != X ]
}

# stop_process NAME SIGNAL [SECONDS]: signals the process and waits; kills it after SECONDS (10).
# Quiet when it does not run.
stop_process() {
  local pid
  pid=$(process_pid "$1") || return 0
  kill "-$2" "$pid" 2>/dev/null || true
  if ! wait_for_exit "$pid" "${3:-10}"; then
    kill -KILL "$pid" 2>/dev/null || true
    wait_for_exit "$pid" 10 || say "process $1 ($pid) does not end; a wait in the kernel?"
  fi
  rm -f "$CLUSTER_RUN/pid/$1"
}

# wait_for_exit PID SECONDS: true once the process no longer runs.
wait_for_exit() {
  local tries=$(($2 * 20))
  while [ "$tries" -gt 0 ]; do
    pid_runs "$1" || return 0
    sleep 0.05
    tries=$((tries - 1))
  done
  return 1
}

# wait_until SECONDS WHAT COMMAND...: repeats COMMAND until it succeeds; ends the script otherwise,
# pointing at the logs.
wait_until() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    [ "$SECONDS" -lt "$deadline" ] ||
      die "$what did not happen in time; logs are in $CLUSTER_RUN/log, 'hack/cluster down' clears the remains"
    sleep 0.1
  done
}

# wait_for_port NAME ADDRESS PORT: waits until the process listens, and notices when it ended.
wait_for_port() {
  local tries=300
  until (exec 3<>"/dev/tcp/$2/$3") 2>/dev/null; do
    tries=$((tries - 1))
    if [ "$tries" -le 0 ] || { [ "$tries" -lt 290 ] && ! process_pid "$1" >/dev/null; }; then
      tail -n 5 "$CLUSTER_RUN/log/$1.log" >&2 || true
      die "$1 does not listen on $2:$3; its log is $CLUSTER_RUN/log/$1.log"
    fi
    sleep 0.1
  done
}
