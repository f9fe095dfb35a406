# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
#
# PgBouncer of the newer Debian (1.24): bookworm's 1.18 is older than what tenants run. Its
# configuration is mounted; the path of the ini file is the argument.

IMAGE=cutover.local/pgbouncer:dev
ENTRYPOINT='["/usr/sbin/pgbouncer"]'

recipe_rootfs() {
  debian_rootfs trixie pgbouncer,procps "$1"
}
