# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
#
# PostgreSQL of the newer major: the target of demo and tests.

IMAGE=cutover.local/postgres:17
ENTRYPOINT='["/usr/lib/postgresql/17/bin/postgres"]'

recipe_rootfs() {
  debian_rootfs trixie postgresql-17,procps "$1" "$NO_MAIN_CLUSTER"
}
