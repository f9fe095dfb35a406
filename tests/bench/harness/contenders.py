# SPDX-License-Identifier: Apache-2.0
"""Those who copy a database, and those who compare two. Each is given the same two servers."""

import dataclasses
import json
import pathlib
import shutil
import subprocess

from .measure import Run, run_command
from .repository import REPOSITORY, say
from .rootfs import command_in, pgcopydb_rootfs
from .servers import BINARIES, Pair
from .workloads import COPY, make_empty_copy

US = "cutover-mover"
# pgcopydb finds pg_dump and pg_restore by PATH.
PATH_OF_PROGRAMS = f"{BINARIES}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclasses.dataclass(frozen=True)
class Setting:
    """What all runs have in common."""

    pair: Pair
    jobs: int
    mover: pathlib.Path
    # Of the mover's --pg-bindir: the newest client programs, as its Job has them.
    pg_bindir: str
    # Logs and dumps. Emptied of dumps after every run.
    work: pathlib.Path


def clone_with_mover(setting, workload, run, log):
    answer = setting.work / "mover.json"
    run_command(run, [
        setting.mover, "--pg-bindir", setting.pg_bindir, "clone", "--jobs", setting.jobs,
        "--source", setting.pair.source.uri(workload), "--target", setting.pair.target.uri(),
        "--database", COPY], log, stdout=answer)  # fmt: skip
    take_report(run, answer)


def take_report(run, answer):
    """The stages as the mover itself reports them, and its verdict: a clone that is not proven is
    no clone."""
    try:
        report = json.loads(answer.read_text())
    except ValueError:
        report = {}
    run.seconds_by_stage = dict(report.get("secondsByStage", {}))
    if report.get("verdict") == "Equal":
        return
    if report.get("mismatches"):
        run.failure = f"{report['mismatchCount']} differences, the first: {report['mismatches'][0]}"
    run.failure = run.failure or f"its verdict is {report.get('verdict', 'missing')}"


def clone_with_pg_dump(setting, workload, run, log):
    make_empty_copy(setting.pair, workload)
    archive = setting.work / "archive"
    dump = Run(run.contender, workload)
    run_command(dump, [BINARIES / "pg_dump", "-Fd", f"-j{setting.jobs}", "-Z0", "-f", archive, "-d",
                       setting.pair.source.uri(workload)], log)  # fmt: skip
    restore = Run(run.contender, workload)
    run_command(restore, [BINARIES / "pg_restore", f"-j{setting.jobs}", "-d",
                          setting.pair.target.uri(COPY), archive], log)  # fmt: skip
    run.seconds = dump.seconds + restore.seconds
    run.seconds_by_stage = {"pg_dump": dump.seconds, "pg_restore": restore.seconds}
    run.cpu_seconds = dump.cpu_seconds + restore.cpu_seconds
    run.peak_rss_mib = max(dump.peak_rss_mib, restore.peak_rss_mib)
    run.failure = dump.failure or restore.failure


def pgcopydb_arguments(setting, workload, directory):
    return ["clone", "--source", setting.pair.source.uri(workload), "--target",
            setting.pair.target.uri(COPY), "--table-jobs", setting.jobs, "--index-jobs",
            setting.jobs, "--dir", directory]  # fmt: skip


def clone_with_pgcopydb(setting, workload, run, log):
    make_empty_copy(setting.pair, workload)
    directory = setting.work / "pgcopydb"
    run_command(run, ["pgcopydb", *pgcopydb_arguments(setting, workload, directory)], log,
                {"PATH": PATH_OF_PROGRAMS})  # fmt: skip


def clone_with_newer_pgcopydb(setting, workload, run, log):
    make_empty_copy(setting.pair, workload)
    program = ["env", f"PATH={PATH_OF_PROGRAMS}", "pgcopydb"]
    arguments = pgcopydb_arguments(setting, workload, "/mnt/pgcopydb")
    run_command(run, command_in(pgcopydb_rootfs(), setting.work, [*program, *arguments]), log)


def compare_with_mover(setting, workload, run, log):
    answer = setting.work / "mover.json"
    run_command(run, [
        setting.mover, "--pg-bindir", setting.pg_bindir, "verify", "--jobs", setting.jobs,
        "--source", setting.pair.source.uri(workload), "--target", setting.pair.target.uri(COPY)],
        log, stdout=answer)  # fmt: skip
    take_report(run, answer)


def compare_with_pgcopydb(setting, workload, run, log):
    program = ["env", f"PATH={PATH_OF_PROGRAMS}", f"PGCOPYDB_TABLE_JOBS={setting.jobs}", "pgcopydb"]
    arguments = ["compare", "data", "--source", setting.pair.source.uri(workload), "--target",
                 setting.pair.target.uri(COPY), "--dir", "/mnt/pgcopydb"]  # fmt: skip
    run_command(run, command_in(pgcopydb_rootfs(), setting.work, [*program, *arguments]), log)


PG_DUMP = "pg_dump+pg_restore"
PGCOPYDB = "pgcopydb"
NEWER_PGCOPYDB = "pgcopydb-newer"
CLONERS = {
    US: clone_with_mover,
    PG_DUMP: clone_with_pg_dump,
    PGCOPYDB: clone_with_pgcopydb,
    NEWER_PGCOPYDB: clone_with_newer_pgcopydb,
}
COMPARERS = {US: compare_with_mover, NEWER_PGCOPYDB: compare_with_pgcopydb}


def remove_leftovers(setting):
    for name in ("archive", "pgcopydb"):
        shutil.rmtree(setting.work / name, ignore_errors=True)


def install(contenders):
    """Makes sure that the contenders' programs are there."""
    if PGCOPYDB in contenders and not shutil.which("pgcopydb"):
        say("installing pgcopydb ...")
        subprocess.run(["apt-get", "-qq", "install", "--no-install-recommends", "--yes",
                        "pgcopydb"], check=True, stdout=subprocess.DEVNULL)  # fmt: skip
    if NEWER_PGCOPYDB in contenders:
        pgcopydb_rootfs()


def find_mover(given):
    """The program to measure."""
    built = pathlib.Path(given or REPOSITORY / "build/release/bin/cutover-mover")
    if not built.exists():
        raise SystemExit(f"{built} is not there; build it with:"
                         " cmake --preset release && ninja -C build/release cutover-mover")
    return built


def what_differs(pair, workload):
    """The source's numbers of relations and constraints that the copy has not, in words; empty if
    it has all. Crude, but it finds a contender that gave up on some objects and said nothing."""
    sql = ("SELECT concat_ws(' ', nspname, kind, count(*)) FROM ("
           "SELECT relnamespace, 'relkind ' || relkind::text FROM pg_class UNION ALL"
           " SELECT connamespace, 'contype ' || contype::text FROM pg_constraint)"
           " o(namespace, kind)"
           " JOIN pg_namespace n ON n.oid = namespace"
           " WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'"
           " GROUP BY nspname, kind ORDER BY 1")  # fmt: skip
    source = pair.source.run_sql(sql, workload).splitlines()
    copy = pair.target.run_sql(sql, COPY).splitlines()
    return "; ".join(sorted(set(source) - set(copy)))
