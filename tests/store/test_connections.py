"""Connections of our own: private, out of every pool, closed after use, and patient while the database is away."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import OperationalError, connection, connections, transaction
from django.test import TestCase

from jwt_upstream.store import connections as ours

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
