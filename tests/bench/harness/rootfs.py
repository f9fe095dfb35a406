# SPDX-License-Identifier: Apache-2.0
"""Programs that run in a root filesystem of their own. Servers are reached over the loopback."""

import pathlib
import shutil
import subprocess

from .repository import cache_directory, say, shell

# The mounts are in a namespace of their own and end with the program. All of it is exec, so the
# process that is started is in the end the program itself.
ENTER = """set -eu
  mount --bind "$1" "$1"
  mount --bind "$2" "$1/mnt"
  mount --rbind /dev "$1/dev"
  mount -t proc proc "$1/proc"
  rootfs=$1 user=$3
  shift 3
  exec chroot --userspec="$user" "$rootfs" "$@"
"""


def command_in(rootfs, work, command, user="0:0"):
    """The command that runs `command` in `rootfs`, with the directory `work` at /mnt."""
    return ["unshare", "--mount", "--propagation", "private", "bash", "-c", ENTER, "bash",
            str(rootfs), str(work), user, *map(str, command)]  # fmt: skip


def pgcopydb_rootfs():
    """A root filesystem of the newer Debian with its pgcopydb: 0.10, which is the machine's own,
    cannot compare yet. Made once and kept in the cache."""
    rootfs = cache_directory() / "pgcopydb-newer"
    if rootfs.exists():
        return rootfs
    say("fetching the newer Debian's pgcopydb ...")
    partial = pathlib.Path(f"{rootfs}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    archive = f"{partial}.tar"
    shell(f'debian_rootfs "$SUITE_NEWER" pgcopydb "{archive}"; echo done')
    subprocess.run(["tar", "-xf", archive, "--numeric-owner", "-C", partial], check=True)
    pathlib.Path(archive).unlink()
    # pgcopydb runs pg_dump and pg_restore of the servers' own major, as everybody else here:
    # pg_restore of a newer one stops at settings that the older server does not know.
    (partial / "usr/lib/postgresql/15").mkdir()
    shutil.copytree("/usr/lib/postgresql/15/bin", partial / "usr/lib/postgresql/15/bin")
    partial.rename(rootfs)
    return rootfs
