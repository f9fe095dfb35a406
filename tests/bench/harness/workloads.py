# SPDX-License-Identifier: Apache-2.0
"""The databases that are copied. Each is made once for a pair of servers and then only read."""

import subprocess
import time

from . import odoo
from .repository import WORKLOADS, say
from .servers import BINARIES

NAMES = ("odoo", "large", "small")
OWNER = "bench"
# The database that every run fills on the target.
COPY = "copy"


def make_roles(pair):
    """Roles belong to servers, not to databases: every contender needs them on the target."""
    for server in pair.servers():
        server.run_sql("\n".join(
            f"SELECT 'CREATE ROLE {role} LOGIN CREATEDB' WHERE NOT EXISTS"
            f" (SELECT FROM pg_roles WHERE rolname = '{role}') \\gexec"
            for role in (OWNER, odoo.OWNER)))  # fmt: skip


def make_source(pair, name):
    """Makes sure that the source has the database `name`, complete. One that a killed run left
    half made has no comment, and is made again."""
    make_roles(pair)
    if is_complete(pair.source, name):
        return
    started = time.monotonic()
    say(f"making the source database {name} ...")
    pair.source.drop_database(name)
    if name == "odoo":
        odoo.restore(pair.source, name)
    else:
        pair.source.run_sql(f'CREATE DATABASE "{name}" OWNER {OWNER} TEMPLATE template0')
        script = f"SET ROLE {OWNER};\n" + (WORKLOADS / f"{name}.sql").read_text()
        pair.source.run_sql(script, name)
    pair.source.run_sql("VACUUM ANALYZE", name)
    pair.source.run_sql(f"COMMENT ON DATABASE \"{name}\" IS 'complete'")
    say(f"made {name} in {time.monotonic() - started:.0f} s: {describe(pair.source, name)}")


def is_complete(server, name):
    return server.run_sql(
        "SELECT shobj_description(oid, 'pg_database') = 'complete' FROM pg_database"
        f" WHERE datname = '{name}'") == "t"  # fmt: skip


def make_empty_copy(pair, name):
    """A fresh copy on the target, with all that belongs to the database itself: for those who do
    not create it themselves. The collation matters to the speed of indexes."""
    pair.target.drop_database(COPY)
    statements = pair.source.run_sql(
        f"SELECT format('CREATE DATABASE {COPY} OWNER %I TEMPLATE template0 ENCODING %L LC_COLLATE"
        " %L LC_CTYPE %L', pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate,"
        f" datctype) || format('; COMMENT ON DATABASE {COPY} IS %L',"
        f" shobj_description(oid, 'pg_database')) FROM pg_database WHERE datname = '{name}'")
    pair.target.run_sql(statements)


def describe(server, name):
    """A line with the database's size and its numbers of tables and indexes."""
    return server.run_sql(
        "SELECT pg_size_pretty(pg_database_size(current_database())) || ', '"
        " || count(*) FILTER (WHERE relkind = 'r') || ' tables of '"
        " || pg_size_pretty(sum(pg_table_size(c.oid)) FILTER (WHERE relkind = 'r')) || ', '"
        " || count(*) FILTER (WHERE relkind = 'i') || ' indexes of '"
        " || pg_size_pretty(sum(pg_relation_size(c.oid)) FILTER (WHERE relkind = 'i'))"
        " FROM pg_class c WHERE relnamespace NOT IN"
        " (SELECT oid FROM pg_namespace WHERE nspname LIKE 'pg\\_%'"
        "  OR nspname = 'information_schema')", name)  # fmt: skip


def warm_up(server, name):
    """Reads the database once, so that the first contender does not read it from disk for all."""
    subprocess.run([BINARIES / "pg_dump", "-f", "/dev/null", server.uri(name)], check=True)
