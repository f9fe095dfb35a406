# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Builds images as archives in the cache, without a registry and without a container engine.
# Needs lib/common.sh.
#
# An image is a recipe, hack/images.d/NAME.sh, that sets IMAGE, ENTRYPOINT (JSON) and, if it must
# not start as root, IMAGE_USER, and defines
#   recipe_rootfs TAR      writes the root filesystem as one tar
#   recipe_inputs          optional: prints what else the result depends on (a program's hash)
# The key is made of the recipe's lines (comments aside) and its inputs. Debian's own updates do not
# change a key: an unchanged recipe is never built again, which is what makes tests repeatable.
# Everything of one image happens in a subshell, so that recipes cannot leak into each other.

IMAGES_SUPPORT=(pause postgres-17 postgres-15 tools pgbouncer odoo-19)
IMAGES_PRODUCT=(operator mover)
IMAGES_DIRECTORY=$CUTOVER_CACHE/images
# Part of every key: raise it when lib/image_archive.py or debian_rootfs change what they produce.
IMAGES_FORMAT=1
# Files in images carry this time, so that the same packages give the same bytes.
export SOURCE_DATE_EPOCH=1735689600

# image_recipe NAME: loads the recipe into the current (sub)shell.
image_recipe() {
  local recipe=$REPOSITORY/hack/images.d/$1.sh
  [ -f "$recipe" ] || die "no image named '$1' is known; known are: ${IMAGES_SUPPORT[*]} ${IMAGES_PRODUCT[*]}"
  IMAGE_USER='' ENTRYPOINT='[]'
  recipe_inputs() { :; }
  # shellcheck source=/dev/null
  source "$recipe"
}

# image_key NAME: prints the key of the image as it would be built now.
image_key() (
  image_recipe "$1"
  { echo "$IMAGES_FORMAT" && grep -v '^[[:space:]]*#' "$REPOSITORY/hack/images.d/$1.sh" &&
    recipe_inputs; } | content_key
)

# image_name NAME: prints the name it has in manifests, such as cutover.local/postgres:17.
image_name() (
  image_recipe "$1"
  printf '%s\n' "$IMAGE"
)

# image_archive_path NAME: prints where its archive is, or will be.
image_archive_path() { printf '%s/%s-%s.tar\n' "$IMAGES_DIRECTORY" "$1" "$(image_key "$1")"; }

# Makes sure that the archive of the image exists, and prints its path. A second process that asks
# for the same image waits for the first.
build_image() {
  local archive
  archive=$(image_archive_path "$1")
  [ -f "$archive" ] || with_lock "image-$1" build_image_locked "$1" "$archive"
  printf '%s\n' "$archive"
}

# The part of build_image under the lock. The archive gets its name last, so a build that is killed
# leaves only a work directory, which the next build of this image removes.
build_image_locked() (
  name=$1 archive=$2
  [ ! -f "$archive" ] || exit 0
  started=$(now_seconds)
  image_recipe "$name"
  say "building image $IMAGE ..."
  work=$IMAGES_DIRECTORY/work-$name
  rm -rf --one-file-system "$work"
  mkdir -p "$work"
  recipe_rootfs "$work/layer.tar"
  /usr/bin/python3 "$REPOSITORY/hack/lib/image_archive.py" --layer "$work/layer.tar" --name "$IMAGE" \
    --entrypoint "$ENTRYPOINT" --user "$IMAGE_USER" --output "$work/image.tar"
  rm -f "$IMAGES_DIRECTORY/$name"-????????????????????.tar  # archives of older recipes
  mv "$work/image.tar" "$archive"
  rm -rf --one-file-system "$work"
  say "built image $IMAGE in $(seconds_since "$started") s, $(du -h "$archive" | cut -f1)"
)

# image_digest ARCHIVE: prints the digest of the manifest in an archive of ours.
image_digest() {
  tar -xOf "$1" index.json | sed -n 's/.*"digest": *"\(sha256:[0-9a-f]*\)".*/\1/p'
}

# image_rootfs NAME: makes sure of an unpacked copy of the image's root filesystem and prints its
# directory. Needs root: files keep their owners and devices.
image_rootfs() {
  local archive directory
  archive=$(build_image "$1")
  directory=$CUTOVER_CACHE/rootfs/$(basename "$archive" .tar)
  [ -d "$directory" ] || with_lock "rootfs-$1" unpack_rootfs_locked "$archive" "$directory"
  printf '%s\n' "$directory"
}

unpack_rootfs_locked() {
  local archive=$1 directory=$2 layer
  [ ! -d "$directory" ] || return 0
  rm -rf --one-file-system "$directory.partial"
  mkdir -p "$directory.partial"
  layer=$(tar -xOf "$archive" manifest.json | sed -n 's/.*"Layers": *\["\([^"]*\)"\].*/\1/p')
  tar -xOf "$archive" "$layer" | tar -x --numeric-owner -C "$directory.partial"
  # Servers are run in it by chroot, without mounts: they need a place for shared memory.
  [ ! -d "$directory.partial/dev/shm" ] || chmod 1777 "$directory.partial/dev/shm"
  mv "$directory.partial" "$directory"
}

# Prints the mirror this machine's own apt uses for Debian: no mirror is written into this project.
debian_mirror() {
  local mirror
  # shellcheck disable=SC2016 # apt expands it
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' \
    "Codename: $SUITE_BASE" | head -n1)
  [ -n "$mirror" ] || die "apt on this machine knows no mirror of Debian $SUITE_BASE;" \
    "add one to its sources, or run apt-get update if there is one"
  # Cloud images name a list of mirrors instead of one.
  if [[ $mirror == mirror+file:* ]]; then
    mirror=${mirror#mirror+file:}
    mirror=$(grep -m1 '^http' "${mirror%/}")
  fi
  printf '%s\n' "$mirror"
}

# debian_rootfs SUITE PACKAGES TAR [MMDEBSTRAP_OPTION...]: installs the packages (comma-separated)
# and what they need into a fresh root filesystem, and writes it as a tar.
debian_rootfs() {
  local suite=$1 packages=$2 tar=$3 mirror
  shift 3
  mirror=$(debian_mirror)
  mmdebstrap --quiet --variant=minbase --include="$packages" \
    --aptopt='Acquire::Check-Valid-Until "false"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    "$@" "$suite" "$tar" "$mirror" >&2
}

# Keeps the package's scripts from creating a 40 MB database cluster in the image.
# shellcheck disable=SC2016,SC2034 # mmdebstrap expands it; recipes use it
NO_MAIN_CLUSTER='--essential-hook=mkdir -p "$1/etc/postgresql-common/createcluster.d"
echo "create_main_cluster = false" >"$1/etc/postgresql-common/createcluster.d/cutover.conf"'
