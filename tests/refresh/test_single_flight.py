"""One refresh at a time per process and key, in a thread and on a connection of its own."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest
from django.db import OperationalError, connection, connections, transaction

from jwt_upstream import store
from jwt_upstream.client import UpstreamClient
from jwt_upstream.models import Credential
from jwt_upstream.refresh.single_flight import Flight, single_flight
from tests.support.upstream import Upstream

pytestmark = pytest.mark.django_db(transaction=True)


def test_joining(gate: threading.Event) -> None:
    """A caller that comes while a flight is under way shares its result; one that comes later starts a new one."""
    results = iter([1, 2])

    def work(_: Flight) -> int:
        gate.wait(5)
        return next(results)

    first = single_flight().share("key", "default", work).future
    second = single_flight().share("key", "default", work).future
    assert single_flight().is_under_way("key", "default")
    assert not single_flight().is_under_way("other", "default")
    gate.set()
    assert (first.result(5), second.result(5)) == (1, 1)
    assert single_flight().share("key", "default", work).future.result(5) == 2


def test_keys_are_separate(gate: threading.Event) -> None:
    """A flight under another key doesn't wait for this one."""
    slow = single_flight().share("slow", "default", lambda _: gate.wait(5)).future
    assert single_flight().share("quick", "default", lambda _: "done").future.result(5) == "done"
    assert not slow.done()


def test_failure_is_shared(gate: threading.Event) -> None:
    """Whatever the work raises, everybody who waits for it gets."""

    def work(_: Flight) -> None:
        gate.wait(5)
        raise ZeroDivisionError

    futures = [single_flight().share("key", "default", work).future for _ in range(3)]
    gate.set()
    for future in futures:
        with pytest.raises(ZeroDivisionError):
            future.result(5)


def test_callers_in_a_transaction_can_be_refused(gate: threading.Event) -> None:
    """Callers whose transaction is in the way are failed by themselves, once, and the others still get the result."""

    def work(flight: Flight) -> str:
        flight.fail_in_transaction(OperationalError("locked"))
        flight.fail_in_transaction(OperationalError("still locked"))
        gate.wait(5)
        return "done"

    with transaction.atomic():
        inside = single_flight().share("key", "default", work).future
        with pytest.raises(OperationalError, match=r"^locked$"):
            inside.result(5)
    outside = single_flight().share("key", "default", work).future
    gate.set()
    assert outside.result(5) == "done"


def test_connection_is_private_and_closed() -> None:
    """The work has a connection of its own, in autocommit whatever the project does, and leaves none open."""
    seen: list[Any] = []

    def work(_: Flight) -> None:
        connection.ensure_connection()
        seen.append((connections["default"].connection, connection.get_autocommit()))

    transaction.set_autocommit(False)
    try:
        single_flight().share("key", "default", work).future.result(5)
    finally:
        transaction.set_autocommit(True)
    ((private, autocommit),) = seen
    assert private is not connection.connection
    assert autocommit


def test_interrupted_before_the_thread_began(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal that keeps the thread from being started leaves no flight behind that would never land."""

    def interrupted(using: str, work: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(store.connections, "in_own_thread", interrupted)
        single_flight().share("key", "default", lambda _: None)
    assert not single_flight().is_under_way("key", "default")
    assert single_flight().share("key", "default", lambda _: "done").future.result(5) == "done"


def test_fork_in_mid_flight(client: UpstreamClient, upstream: Upstream, gate: threading.Event) -> None:
    """A child that was forked in mid-flight doesn't wait for a thread which it doesn't have."""
    future = single_flight().share("key", "default", lambda _: gate.wait(5)).future
    assert single_flight().is_under_way("key", "default")
    child = os.fork()
    if not child:
        os._exit(7 if single_flight().is_under_way("key", "default") else 0)
    assert os.waitpid(child, 0)[1] == 0
    gate.set()
    future.result(5)


def test_no_connection_left_behind(client: UpstreamClient, upstream: Upstream) -> None:
    """However many refreshes there are, at most one connection to the database is kept, for the next of them."""
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
    assert connected() <= before + 1
    assert Credential.objects.get().generation == 21
