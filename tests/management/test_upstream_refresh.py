"""``upstream_refresh``: one round for a timer, or a worker that goes on until it is told to stop."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import InternalError, OperationalError, ProgrammingError, connection
from django.utils import timezone

from jwt_upstream.background import Round
from jwt_upstream.management.commands import upstream_refresh
from jwt_upstream.models import Credential, Event
from jwt_upstream.testing import logged_in
from tests.support import workers
from tests.support.commands import Terminal, run
from tests.support.upstream import Answer, Seen, Upstream

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _answers(upstream: Upstream) -> None:
    upstream.answers["/refresh"] = lambda seen: Answer(200, {"access": "new", "refresh": f"{seen.json()['refresh']}+"})


def put(number: int) -> None:
    """Store so many credentials that have expired."""
    for each in range(number):
        logged_in("up", str(each), refresh=f"r{each}")
    Credential.objects.update(access_expires_at=timezone.now() - timedelta(seconds=5))


def put_old_event() -> None:
    Event.objects.create(upstream="up", account="x", kind="failed", at=timezone.now() - timedelta(days=100))


def test_json(upstream: Upstream, settings: Any) -> None:
    """A round's result as JSON, in one line; history is left to upstream_prune, or to a worker."""
    put(2)
    put_old_event()
    code, out, _ = run("upstream_refresh", "--json")
    told = json.loads(out)
    assert told.pop("seconds") >= 0
    counts = {"refreshed": 2, "failed": 0, "need_human": 0}
    assert (code, told) == (0, {"worker": 1, **counts, "given_up": [], "told": 0, "pruned": 0})


def test_wrong_arguments() -> None:
    """Numbers that make no sense are refused before anything is done."""
    tried = "--threads 0, --limit 0, --ahead -1, --ahead 1e300, --every inf, --every 0, --workers 0, --workers -3"
    for option, number in map(str.split, tried.split(", ")):
        code, _, failed = run("upstream_refresh", option, number)
        assert (code, failed.count(option)) == (1, 1), (option, number)


def test_progress(upstream: Upstream) -> None:
    """On a terminal a person sees how far the round is."""
    put(1)
    err = Terminal()
    call_command("upstream_refresh", stdout=io.StringIO(), stderr=err, no_color=True)
    assert "refreshed, 0 failed for now" in err.getvalue()


def test_database_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """A timer hears by the exit code that the database was away; the driver's words are not repeated."""
    monkeypatch.setattr(upstream_refresh, "refresh_due", raising(OperationalError("host s3cr")))
    code, _, failed = run("upstream_refresh")
    assert (code, failed) == (2, "The database is away (OperationalError); try again later.")


def raising(error: Exception) -> Any:
    def fail(**_: Any) -> Any:
        raise error

    return fail


# -- as a worker


class Rounds:
    """Stands for the refreshes of a worker: each round does the next of what it is told, the last one stops it."""

    def __init__(self, *effects: Any) -> None:
        self.effects = list(effects)

    def __call__(self, *, stop: Any, **_: Any) -> Any:
        effect = self.effects.pop(0)
        if not self.effects:
            stop.set()
        if isinstance(effect, Exception):
            raise effect
        return effect


def test_worker(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker makes round after round until it is told to stop, and deletes history that is old once an hour."""
    put_old_event()
    result = Round(refreshed=1)
    monkeypatch.setattr(upstream_refresh, "refresh_due", Rounds(result, result, result))
    out = run("upstream_refresh", "--every", "0.01", "--json")[1]
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["refreshed"] for line in lines] == [1, 1, 1]
    assert [line["pruned"] for line in lines] == [1, 0, 0]


def test_worker_prunes_bit_by_bit(upstream: Upstream, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """If there is more to delete than a worker takes time for, it goes on after the next round."""
    for _ in range(3):
        put_old_event()
    monkeypatch.setattr("jwt_upstream.store.pruning.BATCH", 1)
    monkeypatch.setattr(upstream_refresh, "_PRUNES_FOR", -1.0)
    result = Round()
    monkeypatch.setattr(upstream_refresh, "refresh_due", Rounds(result, result))
    run("upstream_refresh", "--every", "0.01")
    assert Event.objects.count() == 1
    settings.JWT_UPSTREAM_EVENT_DAYS = None
    monkeypatch.setattr(upstream_refresh, "refresh_due", Rounds(result))
    run("upstream_refresh", "--every", "0.01")
    assert Event.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_worker_survives_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the database is away or read-only a worker says so and tries again, at ever longer intervals."""
    monkeypatch.setattr("jwt_upstream.management.workers._BACKOFF", (0.01, 0.02))
    away, read_only = OperationalError("away"), InternalError("read-only")
    read_only.__cause__ = type("ReadOnlySqlTransaction", (Exception,), {"sqlstate": "25006"})()  # as PostgreSQL says
    # In this order: no test database is away, read-only and back again within a second.
    monkeypatch.setattr(upstream_refresh, "refresh_due", Rounds(away, away, read_only, Round()))
    err, out = io.StringIO(), io.StringIO()
    call_command("upstream_refresh", "--every", "0.01", stderr=err, stdout=out, no_color=True)
    assert err.getvalue().count("The database is away (OperationalError); next attempt in 0 s") == 2
    assert err.getvalue().count("The database is away (InternalError); next attempt in 0 s") == 1
    assert out.getvalue() == "0 refreshed, 0 failed for now, 0 need a human\n"


def test_worker_that_the_database_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """What no waiting mends, such as a missing column, ends a worker."""
    # Its words would be the driver's; Rounds counts the rounds, which a real database can't be made to end.
    monkeypatch.setattr(upstream_refresh, "refresh_due", Rounds(ProgrammingError("s3cr"), Round()))
    code, _, failed = run("upstream_refresh", "--every", "0.01")
    assert (code, failed) == (1, "The database failed (ProgrammingError): run manage.py migrate.")


# -- processes and signals


Process = subprocess.Popen[str]


@pytest.fixture
def command(transactional_db: None) -> Iterator[Any]:
    """Starts the command in a process of its own."""
    started: list[Process] = []

    def start(*arguments: str) -> Process:
        command = [sys.executable, "-W", "error", "-m", "tests.support.manage", "upstream_refresh", *arguments]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, env=workers.environment(), stdout=pipe, stderr=pipe, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_signal(upstream: Upstream, command: Any, number: int) -> None:
    """A worker that gets a signal finishes the refreshes at hand, begins none, and ends with 0."""
    put(20)
    process: list[Process] = []

    def answer(seen: Seen) -> Answer:
        if upstream.refreshes == 1:
            workers.until(lambda: process)
            process[0].send_signal(number)
            time.sleep(0.3)
        return Answer(200, {"access": "new"})

    upstream.answers["/refresh"] = answer
    process.append(command("--every", "60"))
    out, err = process[0].communicate(timeout=60)
    assert (process[0].returncode, err) == (0, "")
    assert out == f"{upstream.refreshes} refreshed, 0 failed for now, 0 need a human\n"
    assert upstream.refreshes < 5
    assert Event.objects.filter(kind="refreshed").count() == upstream.refreshes
    assert not Credential.objects.exclude(lease="").exists()


@pytest.mark.slow
def test_several_workers(upstream: Upstream, command: Any) -> None:
    """Processes share the work: each credential is refreshed once, and each worker prints its own result."""
    put(60)
    process = command("--workers", "3", "--json")
    out, err = process.communicate(timeout=100)
    assert (process.returncode, err) == (0, "")
    told = [json.loads(line) for line in out.splitlines()]
    assert sorted(line["worker"] for line in told) == [1, 2, 3]
    assert sum(line["refreshed"] for line in told) == 60
    tokens = [seen.json()["refresh"] for seen in upstream.calls("/refresh")]
    assert (len(tokens), len(set(tokens))) == (60, 60)


@pytest.mark.slow
def test_worker_that_is_killed(upstream: Upstream, command: Any) -> None:
    """What a worker was doing when it was killed is taken over by another one, which takes its place."""
    put(30)
    killed: list[int] = []

    def answer(seen: Seen) -> Answer | None:
        if upstream.refreshes == 10:
            row = Credential.objects.exclude(lease="").first()
            assert row
            killed.append(int(row.lease.split(":")[1]))
            os.kill(killed[0], signal.SIGKILL)
        return Answer(200, {"access": "new", "refresh": f"{seen.json()['refresh']}+"})

    upstream.answers["/refresh"] = answer
    process = command("--every", "0.5", "--workers", "2")
    workers.until(lambda: not [row for row in Credential.objects.all() if not row.pair.refresh.endswith("+")])
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 0
    interrupted = set(Event.objects.filter(kind="interrupted").values_list("account", flat=True))
    assert interrupted
    tokens = [seen.json()["refresh"] for seen in upstream.calls("/refresh")]
    twice = {token.removeprefix("r") for token in tokens if tokens.count(token) > 1}
    assert twice <= interrupted
    assert connection.is_usable()
