# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
#
# The mover with pg_dump, pg_restore (of the newer major: they can dump the older one too) and
# rsync. Everything it loads comes from the root filesystem of cutover.local/postgres:18, so that
# there is one libpq and one libc in the image.

IMAGE=cutover.local/mover:dev
ENTRYPOINT='["/usr/bin/cutover-mover"]'
IMAGE_USER=65532:65532

recipe_inputs() {
  sha256sum <"$PRODUCT_BUILD/bin/cutover-mover"
  image_key "postgres-$POSTGRES_NEWEST_MAJOR"
}

recipe_rootfs() {
  local root=${1%/*}/root from program
  from=$(image_rootfs "postgres-$POSTGRES_NEWEST_MAJOR")
  minimal_rootfs "$root" "$from"
  for program in "$from/usr/lib/postgresql/$POSTGRES_NEWEST_MAJOR"/bin/pg_{dump,restore} \
    "$from/usr/bin/rsync" "$PRODUCT_BUILD/bin/cutover-mover"; do
    copy_program "$root" "$from" "$program"
  done
  pack_rootfs "$root" "$1"
}
