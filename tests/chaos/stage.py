"""A whole run: the database, the upstreams, the processes, the phases, and the logs that are left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

from cryptography.fernet import Fernet

from tests.chaos import cast, databases, plan
from tests.chaos.fleet import ENVIRONMENT, Fleet
from tests.chaos.logs import Log, now
from tests.chaos.nemesis import LOCKED_FOR_GOOD, Nemesis

#: How many workers the nemesis attacks, and how many it leaves alone.
ATTACKED, CALM = 3, 1


#: When at the latest what could not be told, or whose teller was killed, is due again.
_LEFT_SECONDS = 7200.0


def run(folder: Path, url: str, seconds: float, seed: int, *, own_server: bool = False) -> None:
    """Run, and leave the logs in the folder."""
    log = Log(folder, "stage")
    (folder / "keys.json").write_text(json.dumps([Fernet.generate_key().decode()]))
    command = [sys.executable, "-m", "tests.chaos.server", str(folder), str(seed)]
    upstreams = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    database = databases.make(url, folder, own_server=own_server)
    try:
        assert upstreams.stdout is not None
        server = upstreams.stdout.readline().strip()
        log.write("run", vendor=database.vendor, seed=seed, seconds=seconds)
        _prepare(folder, database, server)
        fleet = Fleet(log, folder=str(folder), database=database.url_by_relay, server=server, seed=seed)
        try:
            _play(log, fleet, Nemesis(fleet, database, server, log), database, seconds, seed)
        finally:
            fleet.kill_all()
        _look_afterwards(log, database)
    finally:
        upstreams.terminate()
        upstreams.wait(10)
        database.drop()


def _prepare(folder: Path, database: databases.Database, server: str) -> None:
    """Make the tables, the audit, and every account's first tokens."""
    told = {"folder": str(folder), "database": database.url, "server": server, "name": "setup", "role": "setup"}
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "tests.chaos.settings",
        ENVIRONMENT: json.dumps({**told, "is_calm": True}),
    }
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connections

    from jwt_upstream.client import UpstreamClient
    from tests.chaos import audit, process, telling

    process.log.write("process", role="setup", is_calm=False)
    call_command("migrate", verbosity=0)
    audit.install()
    telling.connect()
    for alias, account in cast.everybody():
        UpstreamClient(alias, account).login(by="setup", **cast.BY_ALIAS[alias].credentials(account))
    connections.close_all()


def _play(log: Log, fleet: Fleet, nemesis: Nemesis, database: databases.Database, seconds: float, seed: int) -> None:
    phases = plan.phases(seconds)
    # SQLite's own locks don't survive a fork while another thread is inside it: the child waits in sqlite3.connect().
    forks = database.vendor != "sqlite"
    steps = plan.plan(seed, phases.faults, list(database.faults), forks=forks) if phases.faults else []
    log.write("plan", phases=asdict(phases), steps=[asdict(step) for step in steps])
    for number in range(CALM):
        fleet.start_worker(f"calm{number}", is_calm=True)
    for number in range(ATTACKED):
        fleet.start_worker(f"worker{number}", is_calm=False)
    for role in ("refresher", "people"):
        fleet.start(role, role, "tests.chaos.beside", is_calm=True)
    fleet.await_ready(*fleet.running)
    log.write("phase", name="contention")
    time.sleep(phases.contention)
    if phases.faults:
        log.write("phase", name="faults")
        nemesis.work(steps, phases.faults)
        nemesis.lock_for_good()
        log.write("phase", name="recovery", locked=[f"{alias}/{user}" for alias, user in LOCKED_FOR_GOOD])
        time.sleep(phases.recovery)
    log.write("phase", name="end")
    fleet.finish()


def _look_afterwards(log: Log, database: databases.Database) -> None:
    """Note what is left: connections, credentials, incidents, and the audit."""
    from django.conf import settings
    from django.db import connections

    from jwt_upstream.alerts import deliver
    from jwt_upstream.models import Credential
    from tests.chaos import audit
    from tests.chaos.settings import keys

    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = keys()
    end = time.monotonic() + 10
    while (left := database.connections()) and time.monotonic() < end:
        time.sleep(0.5)
    log.write("connections left", count=left)
    deliver(ahead=_LEFT_SECONDS)  # what nobody has come by for
    audit.copy_to(log, time.time() - now())
    audit.copy_incidents_to(log, time.time() - now())
    for row in Credential.objects.all():
        log.write("at the end", account=str(row), state=row.state, lease=row.lease, failures=row.failures)
    connections.close_all()
