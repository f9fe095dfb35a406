# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What every script in hack/ shares. Source it after `set -euo pipefail`; it defines
# functions and constants and changes nothing on the machine.

# Without this a failure inside $(...) would be passed over, and a half-built path printed.
shopt -s inherit_errexit

REPOSITORY=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
CUTOVER_CACHE=${CUTOVER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/cutover}
export CUTOVER_CACHE

# Objects of unchanged sources are taken from the cache, whichever checkout they were built in.
export CCACHE_DIR=$CUTOVER_CACHE/ccache CCACHE_BASEDIR=$REPOSITORY CCACHE_NOHASHDIR=1
export CCACHE_MAXSIZE=2G

# shellcheck source=hack/versions
source "$REPOSITORY/hack/versions"

# Says what is being done, on stderr: stdout belongs to the answers of a script (paths, names).
say() { printf '%s\n' "$*" >&2; }

# Ends the script with a sentence that says what is wrong and what to do about it.
die() {
  say "${0##*/}: $*"
  exit 1
}

# Prints the first 20 hex digits of the SHA-256 of stdin: the form of every key in the cache.
content_key() { sha256sum | cut -c1-20; }

# with_lock NAME COMMAND...: runs COMMAND while nobody else runs one under the same NAME.
# Waits without bound: the holder is another build, and the kernel drops the lock if it dies.
# A NAME that is a path is the lock file itself; others live in the cache. COMMAND runs in a
# subshell, so it cannot set the caller's variables, and it and what it starts do not inherit the
# lock.
with_lock() {
  local file=$1
  shift
  [[ $file == /* ]] || file=$CUTOVER_CACHE/locks/$file
  mkdir -p "${file%/*}"
  (
    flock 9
    "$@" 9>&-
  ) 9>"$file"
}

# Prints the seconds since the epoch with milliseconds, for durations in messages.
now_seconds() { date +%s.%3N; }

# seconds_since START: prints the duration since now_seconds gave START, one decimal.
seconds_since() { awk -v a="$1" -v b="$(now_seconds)" 'BEGIN { printf "%.1f", b - a }'; }

# require_root ARGUMENT...: ends the script unless it runs as root. The arguments are the script's
# own, for the advice.
require_root() {
  [ "$(id -u)" = 0 ] || die "must run as root; try: sudo -E $0 $*"
}
