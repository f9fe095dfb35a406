# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
#
# The process that holds a pod's namespaces: containerd's sandbox_image.

IMAGE=cutover.local/pause:1
ENTRYPOINT='["/pause"]'

recipe_rootfs() {
  local directory=${1%/*}
  gcc -static -Os -x c -o "$directory/pause" - <<'C'
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
static void Stop(int number) { (void)number; _exit(0); }
static void Reap(int number) { (void)number; while (waitpid(-1, 0, WNOHANG) > 0) {} }
int main(void) {
  signal(SIGTERM, Stop);
  signal(SIGINT, Stop);
  signal(SIGCHLD, Reap);
  for (;;) pause();
}
C
  strip "$directory/pause"
  tar --create --file "$1" --directory "$directory" --mtime=@0 --owner=0 --group=0 pause
}
