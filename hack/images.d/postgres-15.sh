# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
#
# PostgreSQL of Debian 12: the source of demo and tests.

IMAGE=cutover.local/postgres:15
ENTRYPOINT='["/usr/lib/postgresql/15/bin/postgres"]'

recipe_rootfs() {
  debian_rootfs bookworm postgresql-15,procps "$1" "$NO_MAIN_CLUSTER"
}
