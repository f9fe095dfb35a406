# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
#
# PostgreSQL of the newer major: the target of demo and tests. rsync and the certificates are here
# because the mover's image takes its libraries and client programs from this root filesystem.

IMAGE=cutover.local/postgres:17
ENTRYPOINT='["/usr/lib/postgresql/17/bin/postgres"]'

recipe_rootfs() {
  debian_rootfs trixie postgresql-17,procps,rsync,ca-certificates "$1" "$NO_MAIN_CLUSTER"
}
