"""Who tells, and when: a thread beside whoever wrote it or comes by, which holds up neither callers nor the end."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jwt_upstream.alerts import lookout
from jwt_upstream.alerts.lookout import Lookouts
from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import AccountLocked
from jwt_upstream.models import Notice
from jwt_upstream.store import outbox
from tests.alerts.conftest import Lock
from tests.support.mail_server import MailServer
from tests.support.upstream import Answer, Upstream
from tests.support.workers import until

LOCKED = Answer(401, {"message": "Account is disabled."})


def watching() -> list[str]:
    """Return the names of the threads that wait until something is due."""
    return [thread.name for thread in threading.enumerate() if thread.name == "jwt_upstream alerts"]


def test_caller_is_not_held(
    lookouts: Lookouts, client: UpstreamClient, upstream: Upstream, mail_server: MailServer
) -> None:
    """A caller gets its error at once while the mail server hangs; the mail is sent by another thread."""
    mail_server.mood = "hangs"
    upstream.answers["/orders/"] = LOCKED
    began = time.monotonic()
    with pytest.raises(AccountLocked):
        client.get("orders/")
    assert mail_server.asked.acquire(timeout=20)
    with pytest.raises(AccountLocked):
        client.get("orders/")
    assert time.monotonic() - began < 5
    mail_server.go_on.set()


def test_what_opens_together(lookouts: Lookouts, lock: Lock, mail_server: MailServer, settings: Any) -> None:
    """What opens within the window is one mail, sent when that is over, and then nobody waits any more."""
    settings.JWT_UPSTREAM_NOTIFY_AFTER_SECONDS = 0.4
    for name in ("ann", "bea", "cid"):
        lock(name)
        lookouts.come_by(is_written=True)
    assert (mail_server.subjects, len(watching())) == ([], 1)
    until(lambda: mail_server.subjects)
    until(lambda: not watching())
    assert mail_server.subjects == ["up: 3 accounts are locked"]


def test_end_of_the_process(lookouts: Lookouts, lock: Lock, mail_server: MailServer, settings: Any) -> None:
    """A process that ends tells what it has written before it is due."""
    settings.JWT_UPSTREAM_NOTIFY_AFTER_SECONDS = 600
    lock("ann")
    lookouts.come_by(is_written=True)
    lookouts.leave()
    assert mail_server.subjects == ["up/ann is locked"]


def test_end_of_a_process_that_has_written_nothing(lookouts: Lookouts, transactional_db: None) -> None:
    """A process that has nothing to tell ends at once."""
    lookouts.come_by(is_written=False)
    began = time.monotonic()
    lookouts.leave()
    lookout._leave()
    assert time.monotonic() - began < 0.5


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that are old enough to look without having written anything, and that try again at once."""
    monkeypatch.setattr(lookout, "_FIRST_SECONDS", 0.0)
    monkeypatch.setattr(lookout, "_RETRY_SECONDS", (0.05, 3600.0))
    monkeypatch.setattr(outbox, "_RETRY_SECONDS", (0.1, 0.1))


def test_whoever_comes_by(at_once: None, lock: Lock, mail_server: MailServer, lookouts: Lookouts) -> None:
    """What another process has left is told by one that calls, which looks once a minute."""
    outbox.passed.disconnect(dispatch_uid="test lookouts")  # by whom the logins would have somebody look
    lock("ann")
    lookouts.come_by(is_written=False)
    until(lambda: mail_server.subjects)
    until(lambda: not watching())
    lock("bea")
    for _ in range(3):
        lookouts.come_by(is_written=False)
    assert watching() == []


def test_mail_server_that_recovers(
    at_once: None, lock: Lock, mail_server: MailServer, lookouts: Lookouts, settings: Any
) -> None:
    """What could not be told is told by the same thread, once the mail server takes it."""
    mail_server.mood = "refuses"
    lock("ann")
    lookouts.come_by(is_written=True)
    until(lambda: Notice.objects.filter(attempts__gt=1))
    mail_server.mood = "takes"
    until(lambda: mail_server.subjects)
    until(lambda: not watching())
    assert mail_server.subjects == ["up/ann is locked"]


def test_no_more_threads(lookouts: Lookouts, transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the interpreter shuts down, and starts no more threads, it is left to whoever comes by next."""

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        lookouts.come_by(is_written=True)
    assert watching() == []
    lookouts.come_by(is_written=True)
    until(lambda: not watching())


def test_database_that_is_away(
    at_once: None, lookouts: Lookouts, lock: Lock, mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the database is away, so that it is unknown what is due, a thread looks again later."""
    from django.db import OperationalError

    next_due, failed = outbox.next_due, threading.Event()

    def away(*arguments: Any) -> float | None:
        if failed.is_set():
            return next_due(*arguments)
        failed.set()
        raise OperationalError("gone")

    monkeypatch.setattr(outbox, "next_due", away)
    monkeypatch.setattr(lookout, "_RETRY_SECONDS", (0.05, 0.05))
    lock("ann")
    lookouts.come_by(is_written=True)
    until(lambda: failed.is_set() and not watching())
    assert mail_server.subjects == ["up/ann is locked"]


def test_thread_that_meets_a_bug(lookouts: Lookouts, lock: Lock, mail_server: MailServer, settings: Any) -> None:
    """A thread that ends by a bug, as of wrong settings, is followed by another."""
    lock("ann")
    settings.JWT_UPSTREAM_NOTIFIERS = None
    lookouts.come_by(is_written=True)
    until(lambda: not watching())
    del settings.JWT_UPSTREAM_NOTIFIERS
    lookouts.come_by(is_written=True)
    until(lambda: mail_server.subjects)


def test_bug_in_telling(client: UpstreamClient, upstream: Upstream) -> None:
    """A refresh brings its caller a token although a bug keeps anybody from being told of anything."""
    outbox.passed.connect(_raise, dispatch_uid="a bug")
    try:
        upstream.expire()
        assert client.get("orders/").status_code == 200
    finally:
        outbox.passed.disconnect(dispatch_uid="a bug")


def _raise(**_: Any) -> None:
    raise RuntimeError("a bug")


def test_call_with_a_cached_token(lookouts: Lookouts, client: UpstreamClient) -> None:
    """A call with a token in the cache makes no query and starts no thread, whatever is to be told."""
    client.get("orders/")
    before = set(threading.enumerate())
    with CaptureQueriesContext(connection) as queries:
        client.get("orders/")
    assert (len(queries), set(threading.enumerate()) - before) == (0, set())
