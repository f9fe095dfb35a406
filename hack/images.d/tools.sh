# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
#
# A shell with curl, psql and Python, for tests, for looking around in a pod, and for the helper
# pods of the volume provisioner.

IMAGE=cutover.local/tools:dev
ENTRYPOINT='["/bin/sh"]'

recipe_rootfs() {
  debian_rootfs bookworm \
    curl,ca-certificates,python3-minimal,libpython3-stdlib,postgresql-client-15,iproute2,procps "$1"
}
