"""Connections of our own: private, out of every pool, closed after use, and patient while the database is away."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from django.db import DatabaseError, OperationalError, connection, connections, transaction
from django.test import TestCase

from jwt_upstream.idle import Idle
from jwt_upstream.process import PerProcess
from jwt_upstream.store import connections as ours
from tests.support import forks
from tests.support.database import connections_to_the_server, cut, is_sqlite, own_number
from tests.support.workers import until

pytestmark = pytest.mark.django_db(transaction=True)


def test_options_of_the_private_connection(settings: Any) -> None:
    """The pool, all of whose connections may wait for us, and a stricter isolation are left out; the rest is kept."""
    private = ours._private_settings(connection)
    assert private["CONN_MAX_AGE"] == 0
    assert private["NAME"] == connection.settings_dict["NAME"]
    connection.settings_dict["OPTIONS"] |= {"pool": True, "isolation_level": "serializable", "kept": 1}
    try:
        options = ours._private_settings(connection)["OPTIONS"]
        assert ("pool" in options, "isolation_level" in options, options["kept"]) == (False, False, 1)
    finally:
        for name in ("pool", "isolation_level", "kept"):
            del connection.settings_dict["OPTIONS"][name]


def number() -> int:
    """Return the server's number of the session that a thread of our own has got."""
    found = ours.in_own_thread("default", own_number).result(20)
    _ended()
    return found


def _ended() -> None:
    # The result is there before the session is given back.
    until(lambda: not [thread for thread in threading.enumerate() if thread.name == "jwt_upstream refresh"])


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is idle is kept for a minute, on a busy machine as well."""
    monkeypatch.setattr(ours, "_idle", PerProcess(partial(Idle, ours._close, 60.0, 60.0, 4), ours._forget))
    yield
    ours.close_idle()


needs_server = pytest.mark.skipif(is_sqlite, reason="SQLite has no sessions, and none are kept")


@needs_server
def test_frequent_work(patient: None) -> None:
    """Threads of our own that follow each other use one session, from the second on."""
    before = connections_to_the_server()
    first, *others = [number() for _ in range(4)]
    assert len({*others}) == 1 != len({first, *others})
    assert others[0] in connections_to_the_server() - before


@needs_server
def test_nothing_is_left_behind() -> None:
    """A session that nobody needs is closed."""
    before = connections_to_the_server()
    number()
    number()
    until(lambda: connections_to_the_server() == before)


@needs_server
def test_session_that_was_ended(patient: None) -> None:
    """A session that the server has ended since, as it does when it is restarted, is replaced before it is used."""
    kept = [number(), number()][1]
    cut({kept})
    until(lambda: kept not in connections_to_the_server())
    assert number() != kept


@needs_server
@pytest.mark.parametrize("leave", ["transaction", "error", "reconnected"])
def test_session_that_was_left_in_disorder(leave: str, patient: None) -> None:
    """A session is not used again in which something was begun or has failed."""

    def work() -> int:
        found = own_number()
        if leave == "transaction":
            connection.set_autocommit(False)
        elif leave == "error":
            with pytest.raises(DatabaseError), connection.cursor() as cursor:
                cursor.execute("SELECT nothing FROM nowhere")
        else:
            connection.close()
        return found

    number()
    used = ours.in_own_thread("default", work).result(20)
    _ended()
    assert used != number()


@needs_server
def test_other_settings(patient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session is used only where it would be opened as it was: another password, another name of a test database."""
    kept = [number(), number()][1]
    monkeypatch.setitem(
        connection.settings_dict, "OPTIONS", {**connection.settings_dict["OPTIONS"], "connect_timeout": 7}
    )
    assert number() != kept


@needs_server
def test_session_of_another_tenant(patient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one tenant has used is never another's."""
    monkeypatch.setattr(type(connection._connections["default"]), "set_schema", lambda *_: None, raising=False)  # type: ignore[attr-defined]

    def session_of(schema: str) -> int:
        with ours.private_connection("default", ours.Tenant(schema, None)):
            return own_number()

    with ThreadPoolExecutor(1) as thread:
        found = list(thread.map(session_of, ["acme", "acme", "globex", "globex", "acme"]))
    assert found[1] == found[4]
    assert found[2] == found[3] != found[1]


@needs_server
@pytest.mark.parametrize("fork", [forks.with_hooks, forks.without_hooks])
def test_fork(fork: Any, patient: None) -> None:
    """A child opens a session of its own, and leaves its parent's alone as it uses and closes its own, and ends."""
    kept = [number(), number()][1]
    of_parent = ours._idle().values()

    def in_child() -> list[int]:
        found = [number(), number()]
        ours.close_idle()
        for private in of_parent:
            private.connection.close()  # as drivers do at the latest when a process ends
        return found

    of_child = forks.in_child(in_child, fork)()
    assert kept not in of_child
    assert number() == kept


def test_no_more_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the interpreter shuts down, and starts no more threads, the work is done in the caller's."""

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    before = connection.connection
    assert ours.in_own_thread("default", threading.current_thread).result(0) is threading.current_thread()
    assert connection.connection is before


def test_write_with_retry(gate: threading.Event) -> None:
    """Writing is tried again while the database is away, and not for ever."""
    tries: list[int] = []

    def write() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise OperationalError("away")
        return "written"

    assert ours.write_with_retry(write, "default", 5) == "written"
    assert len(tries) == 3
    tries.clear()
    with pytest.raises(OperationalError):
        ours.write_with_retry(write, "default", 0)


def test_write_that_waits_too_long(settings: Any, gate: threading.Event) -> None:
    """A caller doesn't wait without end for what may be waiting for it."""
    settings.JWT_UPSTREAM_WAIT_SECONDS = 0
    with pytest.raises(OperationalError, match="another transaction holds"):
        ours.run_on_own_connection("default", lambda: gate.wait(5))


def test_sqlite_in_memory() -> None:
    """What is in SQLite's memory is seen by the caller's own connection only."""
    file = connections.databases["default"]
    connections.databases["memory"] = {**file, "ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    try:
        assert ours.must_join("memory")
        assert not ours.must_join("default")
    finally:
        del connections["memory"]
        del connections.databases["memory"]


@pytest.mark.django_db
def test_django_still_marks_its_test_cases() -> None:
    """The mark by which a test's own transaction is recognised is still set by the running Django."""

    class Case(TestCase):
        databases = {"default"}

        def test(self) -> None:
            assert ours.must_join("default")
            with transaction.atomic():
                assert ours.must_join("default")

    result = Case("test").run()
    assert result is not None
    assert not result.errors + result.failures


def test_reconnecting() -> None:
    """A connection that may have been cut is opened anew, but not in a transaction, whose rollback it would hide."""
    connection.ensure_connection()
    before = connection.connection
    with transaction.atomic():
        ours.reconnect("default")
        assert connection.connection is before
    ours.reconnect("default")
    connection.ensure_connection()
    assert connection.connection is not before
