"""One flight per process and key, on a thread and a connection of its own."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError, connection, connections, transaction
from django.test import TestCase

from jwt_upstream import flights
from jwt_upstream.client import UpstreamClient
from jwt_upstream.models import Credential
from tests.upstream import Upstream

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What lets the work of a flight go on."""
    gate = threading.Event()
    yield gate
    gate.set()


def test_joining(gate: threading.Event) -> None:
    """Who comes while a flight is under way shares its result; who comes later starts a new one."""
    results = iter([1, 2])

    def work(_: flights.Flight) -> int:
        gate.wait(5)
        return next(results)

    first, second = flights.share("key", "default", work), flights.share("key", "default", work)
    assert flights.is_under_way("key", "default")
    assert not flights.is_under_way("other", "default")
    gate.set()
    assert (first.result(5), second.result(5)) == (1, 1)
    assert flights.share("key", "default", work).result(5) == 2


def test_keys_are_separate(gate: threading.Event) -> None:
    """A flight under another key doesn't wait for this one."""
    slow = flights.share("slow", "default", lambda _: gate.wait(5))
    assert flights.share("quick", "default", lambda _: "done").result(5) == "done"
    assert not slow.done()


def test_failure_is_shared(gate: threading.Event) -> None:
    """Whatever the work raises, everybody who waits for it gets."""

    def work(_: flights.Flight) -> None:
        gate.wait(5)
        raise ZeroDivisionError

    futures = [flights.share("key", "default", work) for _ in range(3)]
    gate.set()
    for future in futures:
        with pytest.raises(ZeroDivisionError):
            future.result(5)


def test_callers_in_a_transaction_can_be_refused(gate: threading.Event) -> None:
    """Callers whose transaction is in the way are failed by themselves, once, and the others still get the result."""

    def work(flight: flights.Flight) -> str:
        flight.refuse_bound(OperationalError("locked"))
        flight.refuse_bound(OperationalError("still locked"))
        gate.wait(5)
        return "done"

    with transaction.atomic():
        bound = flights.share("key", "default", work)
        with pytest.raises(OperationalError, match=r"^locked$"):
            bound.result(5)
    free = flights.share("key", "default", work)
    gate.set()
    assert free.result(5) == "done"


def test_connection_is_private_and_closed() -> None:
    """The work has a connection of its own, in autocommit whatever the project does, and leaves none open."""
    seen: list[Any] = []

    def work(_: flights.Flight) -> None:
        connection.ensure_connection()
        seen.append((connections["default"].connection, connection.get_autocommit()))

    transaction.set_autocommit(False)
    try:
        flights.share("key", "default", work).result(5)
    finally:
        transaction.set_autocommit(True)
    ((private, autocommit),) = seen
    assert private is not connection.connection
    assert autocommit


def test_options_of_the_private_connection(settings: Any) -> None:
    """The pool, all of whose connections may wait for us, and a stricter isolation are left out; the rest is kept."""
    private = flights._private(connection)
    assert private["CONN_MAX_AGE"] == 0
    assert private["NAME"] == connection.settings_dict["NAME"]
    connection.settings_dict["OPTIONS"] |= {"pool": True, "isolation_level": "serializable", "kept": 1}
    try:
        options = flights._private(connection)["OPTIONS"]
        assert ("pool" in options, "isolation_level" in options, options["kept"]) == (False, False, 1)
    finally:
        for name in ("pool", "isolation_level", "kept"):
            del connection.settings_dict["OPTIONS"][name]


def test_no_more_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the interpreter shuts down, and starts no more threads, the work is done in the caller's."""

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    before = connection.connection
    assert (
        flights.share("key", "default", lambda _: threading.current_thread()).result(0) is threading.current_thread()
    )
    assert connection.connection is before


def test_interrupted_before_the_thread_began(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal that keeps the thread from being started leaves no flight behind that would never land."""

    def interrupted(target: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(flights, "_start", interrupted)
        flights.share("key", "default", lambda _: None)
    assert not flights.is_under_way("key", "default")
    assert flights.share("key", "default", lambda _: "done").result(5) == "done"


def test_persisting(gate: threading.Event) -> None:
    """Writing is tried again while the database is away, and not for ever."""
    tries: list[int] = []

    def write() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise OperationalError("away")
        return "written"

    assert flights.persist(write, "default", 5) == "written"
    assert len(tries) == 3
    tries.clear()
    with pytest.raises(OperationalError):
        flights.persist(write, "default", 0)


def test_write_that_waits_too_long(settings: Any, gate: threading.Event) -> None:
    """A caller doesn't wait without end for what may be waiting for it."""
    settings.JWT_UPSTREAM_WAIT_SECONDS = 0
    with pytest.raises(OperationalError, match="another transaction holds"):
        flights.apart("default", lambda: gate.wait(5))


def test_fork_in_mid_flight(client: UpstreamClient, upstream: Upstream, gate: threading.Event) -> None:
    """A child that was forked in mid-flight doesn't wait for a thread which it doesn't have."""
    future = flights.share("key", "default", lambda _: gate.wait(5))
    assert flights.is_under_way("key", "default")
    child = os.fork()
    if not child:
        os._exit(7 if flights.is_under_way("key", "default") else 0)
    assert os.waitpid(child, 0)[1] == 0
    gate.set()
    future.result(5)


def test_sqlite_in_memory() -> None:
    """What is in SQLite's memory is seen by the caller's own connection only."""
    file = connections.databases["default"]
    connections.databases["memory"] = {**file, "ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    try:
        assert flights.must_join("memory")
        assert not flights.must_join("default")
    finally:
        del connections["memory"]
        del connections.databases["memory"]


@pytest.mark.django_db
def test_django_still_marks_its_test_cases() -> None:
    """The mark by which a test's own transaction is recognised is still set by the running Django."""

    class Case(TestCase):
        databases = {"default"}

        def test(self) -> None:
            assert flights.must_join("default")
            with transaction.atomic():
                assert flights.must_join("default")

    result = Case("test").run()
    assert result is not None
    assert not result.errors + result.failures


def test_no_connection_left_behind(client: UpstreamClient, upstream: Upstream) -> None:
    """A hundred refreshes leave as many connections to the database as there were before."""
    if connection.vendor != "postgresql":
        pytest.skip("counted on PostgreSQL")
    count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"

    def connected() -> int:
        with connection.cursor() as cursor:
            cursor.execute(count)
            return int(cursor.fetchone()[0])

    before = connected()
    for _ in range(20):
        client.refresh()
    assert connected() <= before
    assert Credential.objects.get().generation == 21
