# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# PostgreSQL of other majors than the host's own, and a newer PgBouncer. Needs lib/common.sh and
# lib/images.sh.

# pg_clients_directory ROOTFS MAJOR: makes a directory of wrappers that run the programs of MAJOR
# from ROOTFS on the host's files, each through ROOTFS's own dynamic loader and libraries, and
# prints it. The wrappers stand in a tree shaped like Debian's (usr/lib/postgresql/18/bin) beside
# links to the real lib and share, because PostgreSQL's programs find each other and their files
# relative to where they stand. So initdb and pg_ctl work here too, for users who can reach the
# cache.
pg_clients_directory() {
  local rootfs=$1 major=$2 tree
  tree=$rootfs-host
  [ -d "$tree" ] || with_lock pg-tools make_pg_clients "$rootfs" "$tree" "$major"
  printf '%s\n' "$tree/usr/lib/postgresql/$major/bin"
}

make_pg_clients() {
  local rootfs=$1 tree=$2 major=$3 partial program base
  [ ! -d "$tree" ] || return 0
  partial=$tree.partial
  base=usr/lib/postgresql/$major
  rm -rf "$partial"
  mkdir -p "$partial/$base/bin" "$partial/usr/share/postgresql"
  ln -s "$rootfs/$base/lib" "$partial/$base/lib"
  ln -s "$rootfs/usr/share/postgresql/$major" "$partial/usr/share/postgresql/$major"
  for program in "$rootfs/$base/bin"/*; do
    # Perl and shell scripts need interpreters of their own; nobody here uses them.
    [ "$(head -c4 "$program" | tail -c3)" = ELF ] || continue
    make_wrapper "$rootfs" "$program" "$partial/$base/bin/${program##*/}"
  done
  mv "$partial" "$tree"
}

# make_wrapper ROOTFS PROGRAM FILE
make_wrapper() {
  cat >"$3" <<EOF
#!/bin/sh
exec '$1/usr/lib64/ld-linux-x86-64.so.2' --inhibit-cache \\
  --library-path '$1/usr/lib/x86_64-linux-gnu' --argv0 "\$0" '$2' "\$@"
EOF
  chmod 755 "$3"
}

# pooler_program ROOTFS: such a wrapper for the PgBouncer in ROOTFS; prints its path.
pooler_program() {
  local rootfs=$1 wrapper=$1-host
  [ -f "$wrapper" ] || {
    make_wrapper "$rootfs" "$rootfs/usr/sbin/pgbouncer" "$wrapper.$$"
    mv "$wrapper.$$" "$wrapper"
  }
  printf '%s\n' "$wrapper"
}

# packaged_server VERSION SHA256: makes sure of the server of that package and prints its directory,
# which holds bin, lib and share: a server with its contrib modules and libraries, without client
# programs. The archive's hash is checked, so the registry cannot give us another one.
packaged_server() {
  local version=$1 sha256=$2 directory
  directory=$CUTOVER_CACHE/servers/postgres-$version-${sha256:0:20}
  [ -d "$directory" ] ||
    with_lock "server-$version" fetch_packaged_server "$version" "$sha256" "$directory"
  printf '%s\n' "$directory"
}

fetch_packaged_server() {
  local version=$1 sha256=$2 directory=$3 started partial archive
  [ ! -d "$directory" ] || return 0
  started=$(now_seconds)
  say "fetching the server $POSTGRES_PACKAGE@$version ..."
  partial=$directory.partial
  rm -rf "$partial"
  mkdir -p "$partial"
  # In a directory of its own, where no project's .npmrc is; its cache goes with it.
  (cd "$partial" && npm --silent --cache "$partial/cache" pack "$POSTGRES_PACKAGE@$version" >&2) ||
    die "npm could not fetch it; for its reasons run: npm pack $POSTGRES_PACKAGE@$version"
  archive=$(find "$partial" -maxdepth 1 -name '*.tgz')
  echo "$sha256  $archive" | sha256sum --check --quiet >&2 ||
    die "$POSTGRES_PACKAGE@$version is not the archive that hack/versions names; find out why" \
      "before you change the hash there"
  tar -xzf "$archive" -C "$partial" --no-same-owner --strip-components=2 package/native
  link_libraries "$partial"
  rm -rf "$archive" "$partial/cache"
  chmod -R u=rwX,go=rX "$partial"
  mv "$partial" "$directory"
  say "fetched it in $(seconds_since "$started") s"
}

# Archives of npm hold no links; the package lists those that its libraries need and leaves the
# making to a script that npm would run. We run no scripts of packages.
link_libraries() {
  /usr/bin/python3 - "$1" <<'PYTHON'
import json, os, sys
root = sys.argv[1]
for link in json.load(open(os.path.join(root, "pg-symlinks.json"))):
    source, target = (os.path.relpath(link[key], "native") for key in ("source", "target"))
    if source.startswith("..") or target.startswith(".."):
        sys.exit("the package wants a link outside of itself: " + target)
    os.symlink(os.path.relpath(source, os.path.dirname(target)), os.path.join(root, target))
PYTHON
}
