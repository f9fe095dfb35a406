# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
#
# The operator: its program, the libraries it loads and the certificates, from this machine.

IMAGE=cutover.local/operator:dev
ENTRYPOINT='["/usr/bin/cutover-operator"]'
IMAGE_USER=65532:65532

recipe_inputs() { sha256sum <"$PRODUCT_BUILD/bin/cutover-operator"; }

recipe_rootfs() {
  local root=${1%/*}/root
  minimal_rootfs "$root" ''
  copy_program "$root" '' "$PRODUCT_BUILD/bin/cutover-operator"
  pack_rootfs "$root" "$1"
}
