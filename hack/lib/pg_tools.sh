# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# PostgreSQL of the newer major on a host that has only the older one. Needs lib/common.sh and
# lib/images.sh.

# pg_tools_directory ROOTFS: makes a directory of wrappers that run the programs of major 17 from
# ROOTFS on the host's files, each through ROOTFS's own dynamic loader and libraries, and prints it.
# The wrappers stand in a tree shaped like Debian's (usr/lib/postgresql/17/bin) beside links to the
# real lib and share, because PostgreSQL's programs find each other and their files relative to
# where they stand. So initdb and pg_ctl work here too, for users who can reach the cache.
pg_tools_directory() {
  local rootfs=$1 major=$POSTGRES_TARGET_MAJOR tree
  tree=$rootfs-host
  [ -d "$tree" ] || with_lock pg-tools make_pg_tools "$rootfs" "$tree" "$major"
  printf '%s\n' "$tree/usr/lib/postgresql/$major/bin"
}

make_pg_tools() {
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
    cat >"$partial/$base/bin/${program##*/}" <<EOF
#!/bin/sh
exec '$rootfs/usr/lib64/ld-linux-x86-64.so.2' --inhibit-cache \\
  --library-path '$rootfs/usr/lib/x86_64-linux-gnu' --argv0 "\$0" '$program' "\$@"
EOF
    chmod 755 "$partial/$base/bin/${program##*/}"
  done
  mv "$partial" "$tree"
}
