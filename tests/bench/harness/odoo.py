# SPDX-License-Identifier: Apache-2.0
"""An Odoo database as a tenant would bring it: 22 apps with demo data, populated to ~600 MB.

Odoo runs by chroot in the root filesystem of the project's own image. The finished database is kept
as an archive of pg_dump, because installing it takes some six minutes.
"""

import hashlib
import os
import pathlib
import subprocess
import tempfile

from .repository import cache_directory, say, shell
from .rootfs import command_in
from .servers import BINARIES

OWNER = "odoo"
APPS = ("sale_management,stock,mrp,purchase,account,crm,project,website,website_sale,website_event,"
        "website_slides,point_of_sale,hr,hr_holidays,hr_expense,hr_recruitment,mass_mailing,survey,"
        "maintenance,fleet,repair,im_livechat")  # fmt: skip
# Model and factor. Factors multiply the demo rows of the model.
POPULATE = {
    "res.partner": 1500,
    "sale.order": 1000,
    "account.move": 400,
    "mail.message": 300,
    "crm.lead": 600,
    "stock.move": 500,
    "mail.tracking.value": 100,
}
CONFIGURATION = """[options]
db_host = 127.0.0.1
db_port = {port}
db_user = {owner}
db_password = unused
data_dir = /mnt/data
http_interface = 127.0.0.1
max_cron_threads = 0
"""
# As Odoo itself creates databases.
CREATE = """CREATE DATABASE "{database}" OWNER {owner} TEMPLATE template0 ENCODING 'UTF8'
  LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'"""


def archive_path():
    """Where the archive is or will be. The key covers all that the data is made of."""
    image = pathlib.Path(shell("image_archive_path odoo-19")).stem
    recipe = repr(("format 1", image, APPS, sorted(POPULATE.items()), CREATE))
    key = hashlib.sha256(recipe.encode()).hexdigest()[:20]
    return cache_directory() / f"odoo-{key}.dump"


def restore(server, database):
    """Brings the Odoo database to the server, building it there the first time."""
    archive = archive_path()
    if not archive.exists():
        build(server, database, archive)
        return
    server.run_sql(CREATE.format(database=database, owner=OWNER))
    command = [BINARIES / "pg_restore", "--exit-on-error", "-j2", "-d", server.uri(database)]
    subprocess.run([*command, archive], check=True)


def build(server, database, archive):
    rootfs = shell("image_rootfs odoo-19")
    server.run_sql(CREATE.format(database=database, owner=OWNER))
    with tempfile.TemporaryDirectory(prefix="cutover-bench-odoo.") as work:
        configuration = CONFIGURATION.format(port=server.port, owner=OWNER)
        pathlib.Path(work, "odoo.conf").write_text(configuration)
        subprocess.run(["chown", "-R", "1000:1000", work], check=True)
        say("installing 22 Odoo apps with demo data (about four minutes) ...")
        run_odoo(rootfs, work, ["-d", database, "--stop-after-init", "--with-demo", "-i", APPS])
        say("populating (about a minute) ...")
        run_odoo(rootfs, work, ["-d", database, "--models", ",".join(POPULATE), "--factors",
                                ",".join(map(str, POPULATE.values()))], "populate")  # fmt: skip
    partial = archive.with_suffix(".partial")
    dump = [BINARIES / "pg_dump", "-Fc", "-Z3", "-f", partial, server.uri(database)]
    subprocess.run(dump, check=True)
    for older in archive.parent.glob("odoo-*.dump"):
        older.unlink()
    partial.rename(archive)


def run_odoo(rootfs, work, arguments, command=None):
    """Runs Odoo as its own user. `work` has its configuration, data and log."""
    odoo = ["env", "HOME=/mnt", "/usr/bin/python3", "/usr/bin/odoo",
            *([command] if command else []), "-c", "/mnt/odoo.conf", *arguments]  # fmt: skip
    # In Odoo 19 the environment's PG* beat the configuration.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
    log = pathlib.Path(work, "odoo.log")
    with open(log, "ab") as output:
        done = subprocess.run(command_in(rootfs, work, odoo, user="1000:1000"), stdout=output,
                              stderr=output, env=environment, check=False)  # fmt: skip
    if done.returncode != 0:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-30:])
        raise SystemExit(f"Odoo failed with exit code {done.returncode}:\n{tail}")
