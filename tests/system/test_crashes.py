"""Workers that are killed, interrupted or frozen in the middle of a refresh, and a database that is away."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from jwt_upstream.client import UpstreamClient
from jwt_upstream.conf import conf
from jwt_upstream.models import Credential
from jwt_upstream.tokens import TokenPair
from tests.support import crash_workers, workers
from tests.support.database import connections_to_the_server, cut, is_sqlite, lock_for, own_number
from tests.support.mails import mailing_to, subjects
from tests.support.relay import Relay
from tests.support.rows import kinds_since_login
from tests.support.upstream import Answer, Seen, Upstream
from tests.support.workers import FOREVER, await_ready, go_on, line, until

pytestmark = pytest.mark.slow

Worker = subprocess.Popen[str]
Start = Callable[..., Worker]

LEASE_SECONDS = 2.4
DEADLINE = 1.2
#: How long after it may go on the last survivor has its answer; tenths of a second on an idle machine.
MARGIN = 8.0
#: A lease that outlives whatever happens in a test.
LONG_LEASE_SECONDS = 60.0
#: How long a lease that has lapsed is left to its holder, and a little more.
GRACE_SECONDS = 1.5
#: How long the database is away while a new pair waits to be written.
AWAY_SECONDS = 20.0


@pytest.fixture
def lease_seconds() -> float:
    """How long the workers' leases last."""
    return LEASE_SECONDS


@pytest.fixture
def start(client: UpstreamClient, settings: Any, tmp_path: Path, lease_seconds: float) -> Iterator[Start]:
    """Starts workers, ready to go, whose leases are short; whatever the test does none outlives it."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["deadline"] = DEADLINE
    told = {"JWT_UPSTREAM_LEASE_SECONDS": lease_seconds, **mailing_to(tmp_path)}
    with ExitStack() as stack:

        def start(job: str, module: Any = crash_workers, **arguments: Any) -> Worker:
            worker: Worker = stack.enter_context(module.start(job, settings=told, **arguments))
            stack.callback(worker.kill)
            return worker

        yield start


def await_stop(worker: Worker) -> None:
    """Wait until a worker is stopped by SIGSTOP."""
    until(lambda: os.waitid(os.P_PID, worker.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT))


class First:
    """Answers the first refresh by ``answer``, which is called in the upstream's thread, all others as usual."""

    def __init__(self, upstream: Upstream, answer: Callable[[Seen], Answer | None]) -> None:
        self._answers = [answer]
        upstream.answers["/refresh"] = self

    def __call__(self, seen: Seen) -> Answer | None:
        return self._answers.pop()(seen) if self._answers else None


def answered(upstream: Upstream, seen: Seen, point: str) -> Answer | None:
    """Return what a worker that stops during the call would be answered, None if it isn't to stop there."""
    fixed = {
        "sent": Answer(503),
        "refused": Answer(401, {"detail": "Token is invalid or expired", "code": "token_not_valid"}),
        "another pair": Answer(200, {"access": "too-late", "refresh": "too-late"}),
    }
    if point in fixed:
        return fixed[point]
    if not point.startswith("rotated"):
        return None
    old, answer = upstream.refresh, Answer(200, upstream.issue())
    if point == "rotated with grace":
        upstream.refresh = old
    else:
        upstream.spent.add(old)
    return answer


# -- killed


def freeze(worker: Worker, point: str, upstream: Upstream) -> threading.Event:
    """Let a worker refresh and stop it at a point; what it is answered, if it got that far, waits for the event."""
    may_answer = threading.Event()

    def refreshing(seen: Seen) -> Answer | None:
        answer = answered(upstream, seen, point)
        if answer:
            worker.send_signal(signal.SIGSTOP)
            may_answer.wait(FOREVER)
        return answer

    First(upstream, refreshing)
    await_ready(worker)
    go_on(worker)
    await_stop(worker)
    return may_answer


def crash(
    start: Start, upstream: Upstream, point: str, by: int = signal.SIGKILL, elsewhere: bool = False
) -> tuple[list[Any], float]:
    """Kill a worker at a point while others wait for it; return the others' outcomes, and when they could go on.

    That is at its end, or when its lease lapses where it runs ``elsewhere``, on another host.
    """
    upstream.expire()
    victim = start("call", stop_at=point)
    survivors = [start("calls", module=workers, threads=2) for _ in range(2)]
    await_ready(*survivors)
    may_answer = freeze(victim, point, upstream)
    row = Credential.objects.get()
    assert row.lease_expires_at is not None
    if elsewhere:
        Credential.objects.update(lease=row.lease.replace(" ", " another-host-", 1))
    go_on(*survivors)
    until(lambda: len(upstream.calls("/orders/")) >= 5)
    ended_at = time.time()  # before it does: on a busy machine the others may hear of it sooner than we do
    victim.send_signal(by)
    victim.send_signal(signal.SIGCONT)
    assert victim.wait(FOREVER) == -by
    may_answer.set()
    outcomes = [row for survivor in survivors for row in workers.finish(survivor)]
    return outcomes, row.lease_expires_at.timestamp() if elsewhere else ended_at


@pytest.mark.parametrize(("lease_seconds", "elsewhere"), [(LONG_LEASE_SECONDS, False), (LEASE_SECONDS, True)])
@pytest.mark.parametrize("point", ["leased", "sent"])
def test_killed_before_the_upstream_rotated(
    start: Start, upstream: Upstream, point: str, lease_seconds: float, elsewhere: bool
) -> None:
    """When a refreshing worker is killed the others go on: at once on its host, elsewhere when its lease lapses."""
    outcomes, since = crash(start, upstream, point, elsewhere=elsewhere)
    assert [outcome for outcome, _ in outcomes] == [200] * 4
    assert all(since < when < since + GRACE_SECONDS + MARGIN for _, when in outcomes)
    assert (upstream.refreshes, upstream.reuses) == (1 if point == "leased" else 2, 0)
    assert Credential.objects.get().pair.refresh == "refresh-2"
    assert kinds_since_login() == ["interrupted", "refreshed"]


def test_terminated_without_a_handler(start: Start, upstream: Upstream) -> None:
    """SIGTERM without a handler is no different from kill -9."""
    outcomes, since = crash(start, upstream, "sent", signal.SIGTERM)
    assert [outcome for outcome, _ in outcomes] == [200] * 4
    assert all(since < when < since + GRACE_SECONDS + MARGIN for _, when in outcomes)
    assert kinds_since_login() == ["interrupted", "refreshed"]


@pytest.mark.parametrize("point", ["rotated", "settling", "written"])
def test_killed_after_the_upstream_rotated(start: Start, upstream: Upstream, point: str, tmp_path: Path) -> None:
    """When the new pair dies with a worker, the credential is rejected once, the reason says why, and it is quiet."""
    outcomes, since = crash(start, upstream, point)
    row = Credential.objects.get()
    assert row.state == "rejected"
    assert "Token is invalid or expired; a refresh at" in row.reason
    assert row.reason.endswith("was interrupted, its answer may be lost")
    assert all(outcome.startswith("CredentialRejected: ") and row.reason in outcome for outcome, _ in outcomes)
    assert all(since < when < since + MARGIN for _, when in outcomes)
    assert (upstream.refreshes, upstream.reuses) == (2, 1)
    assert kinds_since_login() == ["interrupted", "rejected"]
    assert len(subjects(tmp_path)) == 1
    seen = len(upstream.seen)
    (outcome, _), *_ = workers.together(start("calls", module=workers, threads=1))[0]
    assert "CredentialRejected" in outcome
    assert len(upstream.seen) == seen
    assert len(subjects(tmp_path)) == 1


def test_killed_at_an_upstream_with_grace(start: Start, upstream: Upstream, tmp_path: Path) -> None:
    """Where the upstream takes the old token once more nothing is lost, and no human hears of it."""
    outcomes, _ = crash(start, upstream, "rotated with grace")
    assert [outcome for outcome, _ in outcomes] == [200] * 4
    assert (upstream.refreshes, upstream.reuses) == (2, 0)
    assert Credential.objects.get().pair.refresh == "refresh-3"
    assert kinds_since_login() == ["interrupted", "refreshed"]
    assert subjects(tmp_path) == []


def test_killed_where_a_login_is_configured(start: Start, upstream: Upstream, settings: Any, tmp_path: Path) -> None:
    """A pair that died with a worker is made good by one automatic login, and no human hears of it."""
    settings.JWT_UPSTREAM["up"]["LOGIN"] = {"username": upstream.user, "password": upstream.password}
    outcomes, _ = crash(start, upstream, "rotated")
    assert [outcome for outcome, _ in outcomes] == [200] * 4
    assert (upstream.refreshes, len(upstream.calls("/login"))) == (2, 1)
    assert kinds_since_login() == ["interrupted", "logged_in"]
    assert subjects(tmp_path) == []


@pytest.mark.parametrize("lease_seconds", [LONG_LEASE_SECONDS])
def test_neighbours_of_a_worker_that_dies(start: Start, upstream: Upstream) -> None:
    """A worker that dies in mid-refresh costs its neighbours no call: all twenty succeed."""
    upstream.expire()
    victim = start("call", stop_at="sent")
    neighbours = [start("calls", module=workers, threads=10) for _ in range(2)]
    await_ready(*neighbours)
    may_answer = freeze(victim, "sent", upstream)
    go_on(*neighbours)
    victim.kill()
    victim.wait(FOREVER)
    may_answer.set()
    outcomes = [outcome for worker in neighbours for outcome, _ in workers.finish(worker)]
    assert outcomes == [200] * 20
    assert (upstream.refreshes, upstream.reuses) == (2, 0)


# -- interrupted


@pytest.mark.parametrize(
    ("number", "raised", "status"),
    [(signal.SIGINT, "KeyboardInterrupt", -signal.SIGINT), (signal.SIGTERM, "SystemExit", 3)],
    ids=["SIGINT", "SIGTERM with a handler"],
)
def test_interrupted(start: Start, upstream: Upstream, number: int, raised: str, status: int) -> None:
    """A signal that raises in the caller ends its call; the refresh is finished and stored before the process ends."""
    upstream.expire()
    worker = start("interrupted_call", has_handler=number == signal.SIGTERM)
    left_with: list[str] = []

    def refreshing(_: Seen) -> None:
        worker.send_signal(number)
        left_with.append(line(worker))

    First(upstream, refreshing)
    await_ready(worker)
    go_on(worker)
    assert worker.wait(FOREVER) == status
    assert left_with == [raised]
    row = Credential.objects.get()
    assert (row.pair.refresh, row.lease) == ("refresh-2", "")
    assert client_works(upstream)


def test_interrupted_before_the_refresh_began(start: Start, upstream: Upstream) -> None:
    """A signal that comes just before the refresh has begun doesn't leave later callers waiting for it."""
    upstream.expire()
    worker = start("interrupted_start")
    await_ready(worker)
    go_on(worker)
    assert workers.finish(worker) == ["interrupted", "access-2"]


def client_works(upstream: Upstream) -> bool:
    """Whether a new client's call, and its next refresh, succeed at the upstream."""
    upstream.expire()
    return UpstreamClient("up").get("orders/").status_code == 200 and upstream.reuses == 0


# -- the database is away


def is_answer(outcome: str, seconds: float) -> bool:
    """Whether a caller got the new token after so long, or was told in time that it takes longer than callers wait."""
    return outcome == "access-2" if seconds < conf.wait_seconds else outcome.startswith("RefreshBusy: ")


def test_connection_cut_and_row_locked(start: Start, upstream: Upstream) -> None:
    """A worker whose connection was cut during the call stores the pair once the database lets it; it asks once."""
    seconds = AWAY_SECONDS if is_sqlite else 5.0  # for servers see below
    upstream.expire()
    worker = start("call")
    await_ready(worker)
    ours = connections_to_the_server()
    locks: list[threading.Thread] = []
    were_cut: list[int] = []

    def refreshing(_: Seen) -> None:
        theirs = connections_to_the_server() - ours - {own_number()}
        cut(theirs)
        were_cut.extend(theirs)
        locks.append(lock_for(seconds))

    First(upstream, refreshing)
    began = time.monotonic()
    go_on(worker)
    assert is_answer(workers.finish(worker), seconds)
    assert time.monotonic() - began > seconds
    assert is_sqlite or were_cut
    assert upstream.refreshes == 1
    assert Credential.objects.get().pair.refresh == "refresh-2"
    assert kinds_since_login() == ["refreshed"]
    locks[0].join()


@pytest.fixture
def relay() -> Iterator[Relay]:
    """The way to the suite's database server."""
    told = connection.settings_dict
    with Relay(told["HOST"], int(told["PORT"])) as relay:
        yield relay
        relay.close()
        relay.shutdown()


@pytest.mark.skipif(is_sqlite, reason="SQLite has no server")
@pytest.mark.parametrize("when", ["during the call", "while it is written"])
def test_server_away(start: Start, upstream: Upstream, request: pytest.FixtureRequest, when: str) -> None:
    """A pair that comes while the database server is out of reach is stored as soon as it is back."""
    seconds = AWAY_SECONDS if when == "during the call" else 3.0
    relay: Relay = request.getfixturevalue("relay")
    url = urlsplit(os.environ["DATABASE_URL"])
    by_relay = url._replace(netloc=f"{url.netloc.rpartition(':')[0]}:{relay.port}").geturl()
    upstream.expire()
    worker = start("call", database_url=by_relay, stop_at="" if when == "during the call" else "written")

    def refreshing(_: Seen) -> None:
        if when == "during the call":
            relay.close()

    First(upstream, refreshing)
    await_ready(worker)
    go_on(worker)
    if when == "during the call":
        until(lambda: not relay.is_open)
    else:
        await_stop(worker)
        relay.close()
        worker.send_signal(signal.SIGCONT)
    assert not threading.Event().wait(seconds)
    assert Credential.objects.get().generation == 1
    relay.open()
    assert is_answer(workers.finish(worker), seconds)
    assert upstream.refreshes == 1
    assert Credential.objects.get().pair.refresh == "refresh-2"
    assert kinds_since_login() == ["refreshed"]


@pytest.mark.skipif(is_sqlite, reason="SQLite has no server")
@pytest.mark.parametrize("seconds", [1.2, 4.0, 30.0])
def test_server_away_for_longer_than_the_lease(
    start: Start, upstream: Upstream, request: pytest.FixtureRequest, seconds: float
) -> None:
    """A pair in a live worker's hands is written when the server is back, before anybody spends the old token."""
    relay: Relay = request.getfixturevalue("relay")
    url = urlsplit(os.environ["DATABASE_URL"])
    by_relay = url._replace(netloc=f"{url.netloc.rpartition(':')[0]}:{relay.port}").geturl()
    upstream.expire()
    holder, successor = start("call", database_url=by_relay), start("call", database_url=by_relay)
    First(upstream, lambda _: relay.close())
    await_ready(holder, successor)
    go_on(holder)
    until(lambda: not relay.is_open)
    assert not threading.Event().wait(seconds)
    # Of another host, so that the successor can't see that the holder is alive.
    row = Credential.objects.get()
    Credential.objects.update(lease=row.lease.replace(" ", " another-host-", 1))
    relay.open()
    go_on(successor)
    assert is_answer(workers.finish(holder), seconds)
    assert workers.finish(successor) == "access-2"
    assert (upstream.refreshes, upstream.reuses) == (1, 0)
    assert Credential.objects.get().pair.refresh == "refresh-2"
    assert kinds_since_login() == ["refreshed"]


@pytest.mark.skipif(is_sqlite, reason="SQLite has no server")
@pytest.mark.parametrize("lease_seconds", [LONG_LEASE_SECONDS])
def test_waiter_whose_connection_is_cut(start: Start, upstream: Upstream, settings: Any, lease_seconds: float) -> None:
    """A waiter whose connection the server ends looks again on a new one, and gets its answer in time."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["deadline"] = 6.0
    upstream.expire()
    asked, may_answer = threading.Event(), threading.Event()

    def refreshing(_: Seen) -> None:
        asked.set()
        may_answer.wait(FOREVER)

    First(upstream, refreshing)
    refresher, waiter = start("call"), start("call")
    await_ready(refresher, waiter)
    go_on(refresher)
    assert asked.wait(FOREVER)
    before = connections_to_the_server()
    go_on(waiter)
    until(lambda: connections_to_the_server() - before)
    for _ in range(3):
        cut(connections_to_the_server() - before - {own_number()})
        time.sleep(0.2)
    may_answer.set()
    assert [workers.finish(refresher), workers.finish(waiter)] == ["access-2", "access-2"]
    assert upstream.refreshes == 1


# -- frozen


def thaw(worker: Worker) -> Any:
    """Let a stopped worker go on to its end; return its result."""
    worker.send_signal(signal.SIGCONT)
    return workers.finish(worker)


@pytest.mark.parametrize("point", ["refused", "another pair"])
def test_frozen_during_the_call(start: Start, upstream: Upstream, point: str) -> None:
    """What a worker that was frozen past its lease is answered harms nothing that its successor has stored."""
    upstream.expire()
    frozen, successor = start("call"), start("calls", module=workers, threads=2)
    await_ready(successor)
    may_answer = freeze(frozen, point, upstream)
    go_on(successor)
    assert [outcome for outcome, _ in workers.finish(successor)] == [200] * 2
    may_answer.set()
    assert thaw(frozen) == "access-2"
    row = Credential.objects.get()
    assert (row.state, row.generation, row.pair.refresh, row.lease) == ("active", 2, "refresh-2", "")
    assert kinds_since_login() == ["interrupted", "refreshed"]
    assert upstream.reuses == 0


def test_frozen_with_the_newest_pair(start: Start, upstream: Upstream) -> None:
    """A pair that a frozen worker was answered is stored when it goes on, if nobody else has got one since."""
    upstream.expire()
    frozen, successor = start("call"), start("calls", module=workers, threads=1)
    await_ready(successor)
    may_answer = freeze(frozen, "rotated with grace", upstream)
    newest, upstream.refresh = "refresh-2", "refresh-2"
    go_on(successor)
    may_answer.set()
    ((outcome, _),) = workers.finish(successor)
    assert outcome.startswith("CredentialRejected")
    assert Credential.objects.get().state == "rejected"
    assert thaw(frozen) == "access-2"
    row = Credential.objects.get()
    assert (row.state, row.pair.refresh) == ("active", newest)


@pytest.mark.parametrize("point", ["leased", "connecting"])
def test_frozen_before_the_call(start: Start, upstream: Upstream, point: str) -> None:
    """A worker that is frozen between its lease and its request doesn't send the token that was replaced meanwhile."""
    upstream.expire()
    frozen, successor = start("call", stop_at=point), start("calls", module=workers, threads=2)
    await_ready(successor)
    freeze(frozen, point, upstream)
    go_on(successor)
    assert [outcome for outcome, _ in workers.finish(successor)] == [200] * 2
    assert thaw(frozen) == "access-2"
    assert (upstream.refreshes, upstream.reuses) == (1, 0)
    assert kinds_since_login() == ["interrupted", "refreshed"]


@pytest.mark.parametrize("point", ["settling", "written"])
def test_frozen_while_it_writes(start: Start, upstream: Upstream, point: str) -> None:
    """A worker that is frozen with the answer in hand stores it when it goes on, within its lease or after it."""
    upstream.expire()
    frozen = start("call", stop_at=point)
    freeze(frozen, point, upstream)
    lapses_at = Credential.objects.get().lease_expires_at
    assert lapses_at is not None
    until(lambda: timezone.now() > lapses_at)
    assert thaw(frozen) == "access-2"
    assert Credential.objects.get().pair.refresh == "refresh-2"
    assert (upstream.refreshes, upstream.reuses) == (1, 0)
    assert kinds_since_login() == ["refreshed"]


# -- somebody else writes


def test_login_beats_a_refresh_elsewhere(start: Start, upstream: Upstream) -> None:
    """A login during another process's refresh wins, and that process gets its pair."""
    upstream.expire()
    worker = start("call")

    def refreshing(_: Seen) -> Answer:
        UpstreamClient("up").login(username=upstream.user, password=upstream.password)
        return Answer(200, {"access": "too-late", "refresh": "too-late"})

    First(upstream, refreshing)
    await_ready(worker)
    go_on(worker)
    assert workers.finish(worker) == "access-2"
    row = Credential.objects.get()
    assert (row.pair.refresh, row.generation, row.lease) == ("refresh-2", 2, "")
    assert kinds_since_login() == ["logged_in"]


def test_refusal_of_a_token_that_is_not_stored_any_more(start: Start, upstream: Upstream) -> None:
    """A refusal says nothing of a pair that another process has stored meanwhile."""
    upstream.expire()
    worker = start("call")

    def refreshing(_: Seen) -> Answer:
        pair = upstream.issue()
        UpstreamClient("up").adopt(TokenPair(pair["access"], pair["refresh"]))
        return Answer(401, {"detail": "Token is invalid or expired", "code": "token_not_valid"})

    First(upstream, refreshing)
    await_ready(worker)
    go_on(worker)
    assert workers.finish(worker) == "access-2"
    assert Credential.objects.get().state == "active"
    assert kinds_since_login() == ["logged_in"]


def test_stale_instance_is_saved(start: Start, upstream: Upstream, admin_client: Client) -> None:
    """Neither user code nor the admin brings back a spent token by saving what it read before another's refresh."""
    stale = Credential.objects.get()
    page = reverse("admin:jwt_upstream_credential_change", args=[stale.pk])
    assert admin_client.get(page).status_code == 200
    upstream.expire()
    worker = start("call")
    await_ready(worker)
    go_on(worker)
    assert workers.finish(worker) == "access-2"
    stale.save()
    stale.save(update_fields=["access_token", "refresh_token", "generation", "state"])
    Credential.objects.update_or_create(upstream="up", account="default", defaults={"username": "bob"})
    assert admin_client.post(page, {"upstream": "up", "account": "default"}).status_code == 403
    assert Credential.objects.get().pair.refresh == "refresh-2"
    assert client_works(upstream)
