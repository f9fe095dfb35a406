# SPDX-License-Identifier: Apache-2.0
"""What a move must not leave behind, whichever tenant moved, by whichever strategy."""

from cluster import Failure, kubectl, wait_until
from server import Server

SERVERS = ("pg-shared", "pg-dedicated", "pg-dedicated-2")

ON_A_SERVER = {
    "a half-made database": "select count(*) from pg_database where datname like 'cutover%'",
    "a replication slot": "select count(*) from pg_replication_slots",
    "a subscription": "select count(*) from pg_subscription",
    "a role of a stream or of a probe":
        "select count(*) from pg_roles where rolname like 'cutover\\_%\\_%'",
    "a role that carries the mark of a move":
        "select count(*) from pg_shdescription where classoid = 'pg_authid'::regclass and "
        "description like '%cutover%'",
    "a session of the mover":
        "select count(*) from pg_stat_activity where application_name like 'cutover-mover%'",
    "a prepared transaction": "select count(*) from pg_prepared_xacts",
}
IN_THE_DATABASE = {
    "schema cutover": "select count(*) from pg_namespace where nspname = 'cutover'",
    "a publication": "select count(*) from pg_publication",
    "a table with replica identity FULL":
        "select count(*) from pg_class where relreplident = 'f' and relnamespace <> "
        "'pg_catalog'::regnamespace",
}


def of_any_move(name):
    """Sentences, of a server."""
    server = Server(name)
    return [f"{what} on {name}" for what, question in ON_A_SERVER.items()
            if server.sql("postgres", question) != "0"]


def on_server(name, database, home):
    """Sentences. `home`: the server that the tenant's database has to be on."""
    server = Server(name)
    found = of_any_move(name)
    if not server.has_database(database):
        return found
    if name != home:
        return [*found, f"the tenant's database on {name}"]
    return found + [f"{what} on {name}" for what, question in IN_THE_DATABASE.items()
                    if server.sql(database, question) != "0"]


def objects():
    return kubectl("get", "jobs,configmaps,secrets,deployments,services", "--all-namespaces",
                   "--selector", "cutover.dev/migration-uid", "--output", "name").split()


def expect_soon(look):
    """That `look` finds nothing. Some of it goes by garbage collection, so it is looked for until
    it is gone."""
    last = []

    def clean():
        last[:] = [*look(), *objects()]
        return not last

    try:
        wait_until("everything of the move is gone", 60, clean, 1)
    except Failure as failure:
        raise Failure(f"left behind: {', '.join(last)}") from failure


def expect_none(database, home, servers=SERVERS):
    expect_soon(lambda: [what for name in servers for what in on_server(name, database, home)])


def expect_none_of_any_move():
    expect_soon(lambda: [what for name in SERVERS for what in of_any_move(name)])
