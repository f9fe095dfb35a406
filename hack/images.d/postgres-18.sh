# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
#
# PostgreSQL of the newest major, from Debian's coming release. No pod runs it: tests run its server,
# and the mover's image takes its libraries, client programs, rsync and certificates from here.

IMAGE=cutover.local/postgres:18
ENTRYPOINT='["/usr/lib/postgresql/18/bin/postgres"]'

recipe_rootfs() {
  debian_rootfs "$SUITE_NEWEST" postgresql-18,rsync,ca-certificates "$1" "$NO_MAIN_CLUSTER"
}
