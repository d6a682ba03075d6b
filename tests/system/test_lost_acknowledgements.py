"""Commits whose acknowledgement is lost: what they wrote is written once, and told once all the same."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from django.core import mail
from django.db import OperationalError, connections

from jwt_upstream import signals
from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import AccountLocked, CredentialRejected, RefreshUnavailable
from jwt_upstream.models import Credential, Event
from jwt_upstream.refresh import try_again
from jwt_upstream.store import incidents, queries, transitions
from tests.support.upstream import Answer, Upstream

Lose = Callable[..., None]
LOGIN = {"username": "bob", "password": "correct horse"}
LOCKED = Answer(401, {"message": "User account is locked."})


@pytest.fixture
def lose(monkeypatch: pytest.MonkeyPatch) -> Lose:
    """Has the first commit of a transition go unacknowledged: it is written, and the connection is gone."""

    def lose(name: str, writes: ModuleType = transitions) -> None:
        write, done = getattr(writes, name), list[str]()

        def unacknowledged(*args: Any, **kwargs: Any) -> Any:
            result = write(*args, **kwargs)
            if not done:
                done.append(name)
                connections["default"].close()
                raise OperationalError("server closed the connection unexpectedly")
            return result

        monkeypatch.setattr(writes, name, unacknowledged)

    return lose


def told(subjects: list[mail.EmailMessage]) -> list[str]:
    """Return the subjects of mails, without their prefix."""
    return [message.subject.partition("jwt_upstream: ")[2] for message in subjects]


def kinds() -> list[str]:
    """What happened since the first login, oldest first."""
    return list(Event.objects.order_by("pk").values_list("kind", flat=True))[1:]


def test_login(client: UpstreamClient, upstream: Upstream, lose: Lose, mailoutbox: list[mail.EmailMessage]) -> None:
    """A login that brings a credential back is recorded once, and the admins hear that it works again."""
    upstream.answers["/orders/"] = LOCKED
    with pytest.raises(AccountLocked):
        client.get("orders/")
    del upstream.answers["/orders/"]
    lose("log_in")
    client.login(**LOGIN)
    assert kinds() == ["locked", "logged_in"]
    assert told(mailoutbox) == ["up/default is locked", "up/default works again"]


def test_first_login(upstream: Upstream, transactional_db: None, lose: Lose) -> None:
    """An account's first login is recorded once."""
    lose("log_in")
    UpstreamClient("up").login(**LOGIN)
    assert [event.kind for event in Event.objects.all()] == ["logged_in"]
    assert Credential.objects.get().generation == 1


def test_answer_that_locks(
    client: UpstreamClient, upstream: Upstream, lose: Lose, mailoutbox: list[mail.EmailMessage]
) -> None:
    """An answer which says that the account is locked is recorded once, and the admins hear of it."""
    upstream.answers["/orders/"] = LOCKED
    lose("mark")
    with pytest.raises(AccountLocked):
        client.get("orders/")
    assert kinds() == ["locked"]
    assert told(mailoutbox) == ["up/default is locked"]


def test_trying_again(client: UpstreamClient, upstream: Upstream, lose: Lose) -> None:
    """A credential that a person restores is restored once, and that is told."""
    upstream.answers["/orders/"] = LOCKED
    with pytest.raises(AccountLocked):
        client.get("orders/")
    del upstream.answers["/orders/"]
    restored: list[Event] = []

    def receive(event: Event, **_: Any) -> None:
        restored.append(event)

    signals.credential_restored.connect(receive)
    lose("restore")
    try:
        try_again(Credential.objects.get())
    finally:
        signals.credential_restored.disconnect(receive)
    assert kinds() == ["locked", "restored", "refreshed"]
    assert len(restored) == 1


def test_logout(client: UpstreamClient, lose: Lose) -> None:
    """A logout is recorded once, and that is told."""
    logged_out: list[Event] = []

    def receive(event: Event, **_: Any) -> None:
        logged_out.append(event)

    signals.credential_logged_out.connect(receive)
    lose("log_out")
    try:
        client.logout()
    finally:
        signals.credential_logged_out.disconnect(receive)
    assert kinds() == ["logged_out"]
    assert len(logged_out) == 1


def test_lease_after_an_interruption(client: UpstreamClient, upstream: Upstream, lose: Lose) -> None:
    """An interruption that was recorded with the lease is told."""
    row = Credential.objects.get()
    assert transitions.take_lease(row, "somebody who is gone", "default")
    Credential.objects.update(lease_expires_at=row.since)
    upstream.expire()
    interrupted: list[Event] = []

    def receive(event: Event, **_: Any) -> None:
        interrupted.append(event)

    signals.refresh_interrupted.connect(receive)
    lose("take_lease")
    try:
        assert client.get("orders/").status_code == 200
    finally:
        signals.refresh_interrupted.disconnect(receive)
    assert kinds() == ["interrupted", "refreshed"]
    assert len(interrupted) == 1


def test_incident_of_an_upstream(
    client: UpstreamClient, upstream: Upstream, settings: Any, lose: Lose, mailoutbox: list[mail.EmailMessage]
) -> None:
    """That an upstream is down, and that it works again, is told once, whichever acknowledgement is lost."""
    settings.JWT_UPSTREAM_OUTAGE_SECONDS = 0
    settings.JWT_UPSTREAM["up"]["OPTIONS"] |= {"backoff": 0.0, "backoff_max": 0.0}
    upstream.answers["/refresh"] = Answer(503)
    lose("note_failure", incidents)
    lose("close", incidents)
    for _ in range(2):
        with pytest.raises(RefreshUnavailable):
            client.refresh()
    del upstream.answers["/refresh"]
    client.refresh()
    client.refresh()
    assert told(mailoutbox) == ["upstream up is down", "upstream up works again"]


def test_refusal(client: UpstreamClient, upstream: Upstream, lose: Lose, mailoutbox: list[mail.EmailMessage]) -> None:
    """A refused refresh is recorded once, with its incident, and the admins hear of it."""
    upstream.refresh = "another"
    lose("settle_refusal")
    with pytest.raises(CredentialRejected):
        client.refresh()
    assert kinds() == ["rejected"]
    assert told(mailoutbox) == ["up/default is rejected"]


def test_commit_after_the_caller_gave_up(
    client: UpstreamClient,
    upstream: Upstream,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    mailoutbox: list[mail.EmailMessage],
) -> None:
    """What a slow database commits when the caller has given up is told all the same."""
    upstream.answers["/orders/"] = LOCKED
    settings.JWT_UPSTREAM_WAIT_SECONDS = 0.1
    mark = transitions.mark

    def slow(*args: Any, **kwargs: Any) -> Any:
        time.sleep(1.5)
        return mark(*args, **kwargs)

    monkeypatch.setattr(transitions, "mark", slow)
    with pytest.raises(AccountLocked):
        client.get("orders/")
    assert not kinds()
    for thread in threading.enumerate():
        if thread.name == "jwt_upstream refresh":
            thread.join()
    assert kinds() == ["locked"]
    assert told(mailoutbox) == ["up/default is locked"]


def test_login_while_the_database_goes_away(
    client: UpstreamClient, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A login before which the database goes away sends nothing, and raises what any call raises then."""

    def away(_: str) -> Any:
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(queries, "clock", away)
    with pytest.raises(RefreshUnavailable, match="the database is away"):
        client.login(**LOGIN)
    assert not upstream.seen
