"""Logging in and out, adopting, and trying again."""

from __future__ import annotations

import io
import threading
from datetime import timedelta
from typing import Any

import jwt
import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import (
    AccountLocked,
    LoginRejected,
    RefreshBlocked,
    RefreshUnavailable,
    UpstreamError,
    UpstreamMisconfigured,
)
from jwt_upstream.models import Credential, Event
from jwt_upstream.refresh import try_again
from jwt_upstream.store import transitions
from jwt_upstream.tokens import TokenPair
from tests.support.upstream import Answer, Upstream

RIGHT = {"username": "bob", "password": "correct horse"}


def test_login(upstream: Upstream, transactional_db: None) -> None:
    """A login stores the pair, who it is for, and an event that says who asked for it."""
    upstream.lifetime = 60
    UpstreamClient("up").login(**RIGHT, by="somebody")
    row = Credential.objects.get()
    assert (row.state, row.username, row.generation, row.pair.refresh) == ("active", "bob", 1, "refresh-1")
    event = Event.objects.get()
    assert (event.kind, event.state_before, event.state, event.status_code) == ("logged_in", "", "active", 200)
    assert event.by.startswith("somebody (")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (None, LoginRejected),
        (Answer(401, {"message": "Account is disabled."}), AccountLocked),
        (Answer(503), RefreshUnavailable),
        (Answer(404), UpstreamMisconfigured),
    ],
    ids=["rejected", "locked", "unavailable", "misconfigured"],
)
def test_login_that_fails(
    client: UpstreamClient, upstream: Upstream, answer: Answer | None, error: type[UpstreamError]
) -> None:
    """Whatever a login fails of, what was stored before is kept, and works."""
    if answer:
        upstream.answers["/login"] = answer
    with pytest.raises(error, match="up/default: login failed: HTTP"):
        client.login(username="bob", password="wrong")
    assert Event.objects.count() == 1
    assert client.get("orders/").status_code == 200


def test_first_login_that_fails(upstream: Upstream, transactional_db: None) -> None:
    """A first login which fails stores nothing at all."""
    with pytest.raises(LoginRejected):
        UpstreamClient("up").login(username="bob", password="wrong")
    assert not Credential.objects.exists()


def test_login_without_a_password(client: UpstreamClient, upstream: Upstream) -> None:
    """What the backend asks for must be given; nothing is sent otherwise."""
    with pytest.raises(TypeError, match="a login at up needs password"):
        client.login(username="bob")
    assert upstream.seen == []


def test_login_revives(client: UpstreamClient, upstream: Upstream, mailoutbox: list[mail.EmailMessage]) -> None:
    """A login makes a rejected credential work at once, and the admins hear of it."""
    upstream.expire()
    upstream.refresh = "another"
    with pytest.raises(UpstreamError):
        client.get("orders/")
    client.login(**RIGHT)
    assert client.get("orders/").status_code == 200
    assert [message.subject for message in mailoutbox] == [
        "[Django] jwt_upstream: up/default is rejected",
        "[Django] jwt_upstream: up/default works again",
    ]


def test_two_first_logins_at_once(upstream: Upstream, transactional_db: None) -> None:
    """Two workers that log in for the first time at the same moment make one row."""
    barrier = threading.Barrier(4)

    def log_in(number: int) -> None:
        barrier.wait(5)
        UpstreamClient("up").adopt(TokenPair(f"access-{number}"))
        connection.close()

    threads = [threading.Thread(target=log_in, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Credential.objects.get().generation == Event.objects.filter(kind="logged_in").count() == 4


def test_adopt_takes_lifetimes_from_the_tokens(upstream: Upstream, transactional_db: None) -> None:
    """Expiries that are not given are read from the tokens where these are JWTs."""
    end = timezone.now().replace(microsecond=0) + timedelta(hours=1)
    token = jwt.encode({"exp": end}, "x" * 32)
    UpstreamClient("up").adopt(TokenPair(token, "opaque"))
    row = Credential.objects.get()
    assert (row.access_expires_at, row.refresh_expires_at) == (end, None)
    assert Event.objects.get().reason == "adopted"


def test_log_out_of_nothing(upstream: Upstream, transactional_db: None) -> None:
    """A logout without a credential does nothing."""
    UpstreamClient("up").logout()
    assert not Event.objects.exists()


def test_rows_that_change_meanwhile(client: UpstreamClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A logout is tried again on the row as it is then; trying again goes on from there."""
    overtaken = iter([True, False, True])

    def overtake(write: Any) -> Any:
        return lambda *args, **kwargs: None if next(overtaken) else write(*args, **kwargs)

    monkeypatch.setattr(transitions, "restore", overtake(transitions.restore))
    monkeypatch.setattr(transitions, "log_out", overtake(transitions.log_out))
    assert try_again(Credential.objects.get()).access == "access-2"
    overtaken = iter([True, False])
    client.logout()
    assert Credential.objects.get().state == "logged_out"


@pytest.mark.skipif(connection.vendor == "sqlite", reason="a snapshot of SQLite's keeps every other writer out")
def test_logout_in_a_snapshot(client: UpstreamClient) -> None:
    """A logout ends in a transaction whose snapshot never shows that the row has moved on."""
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        assert Credential.objects.get().generation == 1  # the snapshot is taken

        def refresh() -> None:
            UpstreamClient("up").refresh()
            connection.close()

        thread = threading.Thread(target=refresh)
        thread.start()
        thread.join()
        client.logout()
    assert (Credential.objects.get().state, Credential.objects.get().generation) == ("logged_out", 3)


def test_missing_table_is_told_before_anything_is_sent(
    upstream: Upstream, transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A login where the tables are missing fails before the password is sent, and the command says what to do."""
    with connection.schema_editor() as editor:
        editor.alter_db_table(Credential, "jwt_upstream_credential", "moved_away")
    try:
        with pytest.raises(DatabaseError):
            UpstreamClient("up").login(username=upstream.user, password=upstream.password)
        monkeypatch.setattr("sys.stdin", io.StringIO("secret\n"))
        with pytest.raises(CommandError, match=r"nothing was stored\. Run manage\.py migrate"):
            call_command("upstream_login", "up", "--username", "bob", "--password-stdin")
    finally:
        with connection.schema_editor() as editor:
            editor.alter_db_table(Credential, "moved_away", "jwt_upstream_credential")
    assert upstream.seen == []


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite's writers wait for each other by themselves")
def test_database_is_locked_by_another(client: UpstreamClient, settings: Any) -> None:
    """Outside of transactions a lock that lasts is trouble that passes, and the text says what it is."""
    settings.JWT_UPSTREAM_WAIT_SECONDS = 0.2
    has_locked, is_done = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            Credential.objects.update(username="held")
            has_locked.set()
            is_done.wait(10)
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    has_locked.wait(5)
    with pytest.raises(RefreshUnavailable, match="another transaction holds a lock on it") as caught:
        client.adopt(TokenPair("another"))
    assert not isinstance(caught.value, RefreshBlocked)
    is_done.set()
    thread.join()
