"""Fixtures: a mail server, and incidents that are due to be told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from jwt_upstream.alerts.lookout import Lookouts
from jwt_upstream.models import Credential
from jwt_upstream.store import EventDetails, outbox, transitions
from jwt_upstream.testing import logged_in
from tests.support.mail_server import MailServer

Lock = Callable[..., list[Credential]]


@pytest.fixture
def mail_server(settings: Any) -> Iterator[MailServer]:
    """A mail server that Django's settings name."""
    with MailServer() as server:
        for name, value in server.settings.items():
            setattr(settings, name, value)
        yield server


@pytest.fixture
def lock(upstream: Any, transactional_db: None) -> Lock:
    """What has accounts' incidents opened, due at once, without telling anybody."""

    def lock(*accounts: str) -> list[Credential]:
        rows = []
        for account in accounts:
            row = logged_in("up", account)
            transitions.mark(row, "locked", "default", EventDetails("HTTP 401: Account is disabled."))
            rows.append(Credential.objects.get(pk=row.pk))
        return rows

    return lock


@pytest.fixture
def lookouts(transactional_db: None) -> Iterator[Lookouts]:
    """What tells in this process, as without the suite; its threads have ended before the database does."""
    own = Lookouts()
    outbox.passed.disconnect(dispatch_uid="jwt_upstream.alerts")

    def come_by(is_written: bool, **_: Any) -> None:
        own.come_by(is_written)

    outbox.passed.connect(come_by, weak=False, dispatch_uid="test lookouts")
    yield own
    outbox.passed.disconnect(dispatch_uid="test lookouts")
    own.leave()
    join_threads()


def join_threads() -> None:
    """Wait for what tells beside this thread."""
    for thread in threading.enumerate():
        if thread.name.startswith(("jwt_upstream alerts", "jwt_upstream outbox", "jwt_upstream notifier")):
            thread.join(20)
