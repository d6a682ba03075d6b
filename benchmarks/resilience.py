"""Measures what the race tests show: one refresh per expiry, shared failures, crashes, trouble, locked accounts.

Run by ``make bench-resilience``, on SQLite and the servers that answer, one after the other, each by a process of its
own; with ``--json FILE`` on the database of DATABASE_URL alone. The workers, the upstream and the ways to break things
are those of the tests.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

# What follows imports models, which takes a Django that is set up: hence E402.
from django.conf import settings  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from django.test.utils import setup_databases, setup_test_environment, teardown_databases  # noqa: E402

from benchmarks import databases, report  # noqa: E402
from benchmarks.settings import SERVERS, answers  # noqa: E402
from jwt_upstream.client import UpstreamClient  # noqa: E402
from jwt_upstream.exceptions import AccountLocked, RefreshBlocked  # noqa: E402
from jwt_upstream.models import Credential, Event, Incident  # noqa: E402
from tests.support import crash_workers, workers  # noqa: E402
from tests.support.database import connections_to_the_server, is_sqlite, lock_for, long_transactions, own_number  # noqa: E402
from tests.support.upstream import Answer, Seen, Upstream  # noqa: E402
from tests.support.workers import await_ready, go_on  # noqa: E402

Figures = dict[str, Any]


@contextmanager
def logged_in() -> Iterator[Upstream]:
    """Give a fresh upstream at which a fresh credential is logged in."""
    for model in (Event, Credential, Incident):
        model.objects.all().delete()  # type: ignore[attr-defined]
    with Upstream() as upstream:
        told = {"BASE_URL": upstream.url, "OPTIONS": {"refresh_fields": {"refresh": "{refresh}"}}}
        settings.JWT_UPSTREAM = {"up": told}
        UpstreamClient("up").login(username=upstream.user, password=upstream.password)
        upstream.seen.clear()
        yield upstream


def fleet(processes: int, **told: Any) -> list[list[Any]]:
    """Run ``stream`` in several processes; return [alias, outcome, begun at, ended at] of all calls."""
    started = [workers.start("stream", **told) for _ in range(processes)]
    return [call for result in workers.together(*started) for call in result]


def ms(seconds: float) -> int:
    return round(1000 * seconds)


# -- 1. one refresh per expiry


def herd() -> Figures:
    """8 processes × 8 threads with an expired token, a refresh of 2 s."""
    with logged_in() as upstream:
        upstream.expire()
        before, seen = connections_to_the_server(), {}

        def refreshing(_: Seen) -> None:
            time.sleep(1.9)
            seen["connections"] = len(connections_to_the_server() - before - {own_number()}) - 64
            seen["transactions"] = long_transactions()
            time.sleep(0.1)

        upstream.answers["/refresh"] = refreshing
        calls = fleet(8, threads=8, count=1)
        waited = sorted(ended - upstream.rotated_at[0] for *_, ended in calls)
        return {
            "refreshes": upstream.refreshes,
            "reuses": upstream.reuses,
            "calls that succeeded, of 64": sum(outcome == 200 for _, outcome, *_ in calls),
            "median waiter, ms after the refresh's end": ms(median(waited)),
            "last waiter, ms after the refresh's end": ms(waited[-1]),
            "connections beyond the callers' own": None if is_sqlite else max(0, seen["connections"]),
            "transactions open while they wait": None if is_sqlite else seen["transactions"],
        }


def sustained() -> Figures:
    """30 s with tokens of 2 s that a 401 ends, 4 processes × 4 threads."""
    with logged_in() as upstream:
        upstream.lasts = 2.0
        upstream.expire()
        calls = fleet(4, threads=4, seconds=30.0, pause=0.02)
        lasted = max(ended for *_, ended in calls) - min(began for *_, began, _ in calls)
        return {
            "calls": len(calls),
            "calls that failed": sum(outcome != 200 for _, outcome, *_ in calls),
            "refreshes": upstream.refreshes,
            "lifetimes": round(lasted / 2.0, 1),
            "reuses": upstream.reuses,
        }


# -- 2. followers


def shared_failure() -> Figures:
    """2 processes × 8 threads, a refresh that fails after 5 s."""
    with logged_in() as upstream:
        upstream.expire()
        upstream.answers["/refresh"] = Answer(503, delay=5.0)
        calls = fleet(2, threads=8, count=1)
        waits = [ended - began for *_, began, ended in calls]
        return {"attempts": upstream.refreshes, "longest wait, ms": ms(max(waits)), "callers": len(calls)}


def busy() -> Figures:
    """3 processes × 4 threads, JWT_UPSTREAM_WAIT_SECONDS = 1, a refresh of 5 s."""
    with logged_in() as upstream:
        upstream.expire()
        upstream.refresh_delay = 5.0
        calls = fleet(3, threads=4, count=1, settings={"JWT_UPSTREAM_WAIT_SECONDS": 1.0})
        return {
            "RefreshBusy, of 12": sum("RefreshBusy" in str(outcome) for _, outcome, *_ in calls),
            "longest wait, ms": ms(max(ended - began for *_, began, ended in calls)),
            "failures recorded": Event.objects.filter(kind="failed").count(),
        }


# -- 3. the caller's transaction


def blocked() -> Figures:
    """A caller whose own transaction has written the credential's row; then it rolls back and calls again."""
    with logged_in() as upstream:
        upstream.expire()
        client, began = UpstreamClient("up"), time.time()
        with suppress(RefreshBlocked), transaction.atomic():
            Credential.objects.update(username="changed")
            client.get("orders/")
        waited, spent = time.time() - began, upstream.refreshes
        return {
            "time to RefreshBlocked, ms": ms(waited),
            "refresh tokens spent": spent,
            "the next call succeeded": client.get("orders/").status_code == 200,
        }


# -- 4. crashes


def killed() -> Figures:
    """kill -9 of the refreshing worker, before its call; leases of 3 s; 2 processes × 4 threads wait for it."""
    told = {"JWT_UPSTREAM_LEASE_SECONDS": 3.0}
    with logged_in() as upstream:
        upstream.expire()
        settings.JWT_UPSTREAM["up"]["OPTIONS"]["deadline"] = 1.5
        victim = crash_workers.start("call", stop_at="leased", settings=told)
        survivors = [workers.start("stream", threads=4, count=1, settings=told) for _ in range(2)]
        await_ready(victim, *survivors)
        go_on(victim)
        os.waitid(os.P_PID, victim.pid, os.WSTOPPED | os.WNOWAIT)
        lapses_at = Credential.objects.get().lease_expires_at
        assert lapses_at is not None
        go_on(*survivors)
        victim.send_signal(signal.SIGKILL)
        victim.communicate()
        calls = [call for survivor in survivors for call in workers.finish(survivor)]
        return {
            "refreshes": upstream.refreshes,
            "calls that succeeded, of 8": sum(outcome == 200 for _, outcome, *_ in calls),
            "last survivor, ms after the lease lapsed": ms(max(call[3] for call in calls) - lapses_at.timestamp()),
        }


def database_away() -> Figures:
    """The row (on SQLite the file) is locked for 20 s when the answer comes."""
    with logged_in() as upstream:
        upstream.expire()

        def refreshing(_: Seen) -> None:
            lock_for(20.0)
            freed_at.append(time.time() + 20.0)

        freed_at: list[float] = []
        upstream.answers["/refresh"] = refreshing
        worker = crash_workers.start("call", settings={"JWT_UPSTREAM_WAIT_SECONDS": 40.0})
        await_ready(worker)
        go_on(worker)
        outcome = workers.finish(worker)
        return {
            "refreshes": upstream.refreshes,
            "call succeeded": outcome == "access-2",
            "stored and answered, ms after the database was back": ms(time.time() - freed_at[0]),
        }


# -- 6. trouble


def down() -> Figures:
    """3 s of 503, 3 processes × 4 threads at up to 20 calls a second each."""
    with logged_in() as upstream:
        upstream.expire()
        heals_at: list[float] = []

        def refreshing(_: Seen) -> Answer | None:
            heals_at[:] = heals_at or [time.time() + 3.0]
            return Answer(503) if time.time() < heals_at[0] else None

        upstream.answers["/refresh"] = refreshing
        calls = fleet(3, threads=4, seconds=9.0, pause=0.05)
        failed = [ended - began for _, outcome, began, ended in calls if outcome != 200]
        return {
            "calls": len(calls),
            "attempts while it was down": upstream.refreshes - 1,
            "RefreshUnavailable": len(failed),
            "median time to that error, ms": ms(median(failed)),
            "recovered, ms after it healed": ms(upstream.rotated_at[0] - heals_at[0]),
        }


# -- 7. locked


def locked() -> Figures:
    """200 calls of 4 processes × 5 threads after the account was locked."""
    with logged_in() as upstream:
        upstream.answers["/orders/"] = Answer(401, {"message": "Account is disabled."})
        with suppress(AccountLocked):
            UpstreamClient("up").get("orders/")
        found = len(upstream.seen)
        calls = fleet(4, threads=5, count=10)
        return {
            "requests that found it out": found,
            "AccountLocked, of 200": sum(str(outcome).startswith("AccountLocked") for _, outcome, *_ in calls),
            "requests by the 200 calls": len(upstream.seen) - found,
            "median time to the error, ms": ms(median(ended - began for *_, began, ended in calls)),
            "events": Event.objects.filter(kind="locked").count(),
        }


SCENARIOS: dict[str, Callable[[], Figures]] = {
    "1": herd,
    "1, for 30 s": sustained,
    "2": shared_failure,
    "2, bounded": busy,
    "3": blocked,
    "4, kill -9": killed,
    "4, database away": database_away,
    "6": down,
    "7": locked,
}


def measure(file: Path) -> None:
    """Measure every scenario on this process's database, and write the figures."""
    setup_test_environment()
    made = setup_databases(verbosity=0, interactive=False)
    try:
        found = {"database": connection.display_name, "version": databases.version("default"), "figures": {}}
        for point, scenario in SCENARIOS.items():
            print(f"\n{found['database']}, {point}: {scenario.__doc__}")
            found["figures"][point] = figures = scenario()
            for name, figure in figures.items():
                print(f"    {name:<55} {_said(figure)}", flush=True)
    finally:
        teardown_databases(made, verbosity=0)
    file.write_text(json.dumps(found))


def measure_everywhere() -> None:
    """Measure on each database, and write the results."""
    about = report.machine([], "make bench-resilience")
    with TemporaryDirectory() as folder:
        found = [_measured(url, Path(folder) / "figures.json") for url in ["", *filter(answers, SERVERS.values())]]
    about["databases"] = [each["version"] for each in found]
    figures = {each["database"]: each["figures"] for each in found}
    report.save("resilience", {"machine": about, "figures": figures}, _table(figures))


def _measured(url: str, file: Path) -> dict[str, Any]:
    environment = {**os.environ, "DATABASE_URL": url} if url else dict(os.environ)
    subprocess.run([sys.executable, "-m", "benchmarks.resilience", "--json", file], env=environment, check=True)
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def _table(figures: dict[str, dict[str, Figures]]) -> str:
    rows: list[list[Any]] = []
    for point, scenario in SCENARIOS.items():
        rows.append([f"**{scenario.__doc__}**", *[""] * len(figures)])
        columns = [of[point] for of in figures.values()]
        rows += [[name, *(_said(column[name]) for column in columns)] for name in columns[0]]
    return report.table(["", *figures], rows)


def _said(figure: Any) -> str:
    if isinstance(figure, bool):
        return "yes" if figure else "no"
    return "–" if figure is None else str(figure)


def main() -> None:
    """Measure here, or everywhere."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="measure on the database of DATABASE_URL, and write the figures")
    if file := parser.parse_args().json:
        measure(file)
    else:
        os.environ.pop("DATABASE_URL", None)
        measure_everywhere()


if __name__ == "__main__":
    main()
