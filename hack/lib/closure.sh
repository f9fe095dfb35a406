# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Root filesystems that hold a program and what it loads, and nothing else: no shell, no package
# manager. Used by the product's image recipes and by the Dockerfiles. Needs lib/common.sh.

# minimal_rootfs ROOT FROM: makes the skeleton in ROOT, with the certificates of the system at FROM
# (empty: this machine). The only users are root, who owns the files, and nonroot, who runs.
minimal_rootfs() {
  local root=$1 from=$2 directory
  mkdir -p "$root"/{etc/ssl/certs,usr/bin,usr/lib/x86_64-linux-gnu,usr/lib64,tmp,home/nonroot}
  for directory in bin lib lib64; do ln -s "usr/$directory" "$root/$directory"; done
  chmod 1777 "$root/tmp"
  cp "$from/etc/ssl/certs/ca-certificates.crt" "$root/etc/ssl/certs/"
  printf 'root:x:0:0::/:/nologin\nnonroot:x:65532:65532::/home/nonroot:/nologin\n' >"$root/etc/passwd"
  printf 'root:x:0:\nnonroot:x:65532:\n' >"$root/etc/group"
  printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
  chown 65532:65532 "$root/home/nonroot"
}

# copy_program ROOT FROM PROGRAM: copies PROGRAM into ROOT's usr/bin, and the loader and libraries
# it needs. Libraries are taken from the system at FROM (empty: this machine), and from this machine
# where FROM has none of that name: a program may be built on an older Debian than the one whose
# libraries it runs on, never the other way round. Ends the script if a library is found nowhere.
copy_program() {
  local root=$1 from=$2 program=$3 loader libraries path
  loader=$from/usr/lib64/ld-linux-x86-64.so.2
  [ -e "$loader" ] || loader=$from/lib64/ld-linux-x86-64.so.2
  libraries=$("$loader" --inhibit-cache \
    --library-path "$from/usr/lib/x86_64-linux-gnu:/usr/lib/x86_64-linux-gnu" --list "$program")
  ! grep 'not found' <<<"$libraries" >&2 || die "$program needs libraries that are not here (above)"
  install -m 755 "$program" "$root/usr/bin/"
  strip --strip-unneeded "$root/usr/bin/${program##*/}"
  install -m 755 "$(readlink -f "$loader")" "$root/usr/lib64/ld-linux-x86-64.so.2"
  sed -n '/ld-linux/d; s/.* => \(\/[^ ]*\) (0x.*/\1/p' <<<"$libraries" | while read -r path; do
    install -m 755 "$(readlink -f "$path")" "$root/usr/lib/x86_64-linux-gnu/${path##*/}"
  done
}

# pack_rootfs ROOT TAR: the same files give the same bytes.
pack_rootfs() {
  tar --create --file "$2" --directory "$1" --sort=name --numeric-owner \
    --mtime="@$SOURCE_DATE_EPOCH" .
}
