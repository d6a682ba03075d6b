"""Getting a first pair: by a login, or adopted from elsewhere."""

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


WRONG_PLACE = Answer(404, b"<!doctype html><title>Not Found", {"Content-Type": "text/html"})


def test_url_of_a_login_that_fails(upstream: Upstream, settings: Any, transactional_db: None) -> None:
    """What is not the login's own answer names the URL, without its query, and the command that shows more."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"] |= {"login_path": "log-in?key=s3cret", "refresh_paths": ["r"]}
    url = f"(POST {upstream.url}log-in)"
    for answer, said in [
        (WRONG_PLACE, f"HTTP 404: an HTML page {url}"),
        (Answer(405, {"detail": "Method not allowed."}), f"HTTP 405: Method not allowed. {url}"),
        (Answer(200, b"<p>Welcome", {"Content-Type": "text/html"}), f"HTTP 200: an HTML page {url}"),
        (Answer(301, b"", {"Location": "/log-in/"}), f"HTTP 301 {url[:-1]} redirects to {upstream.url}log-in/)"),
        (
            Answer(200, {"jwt": "access-9", "user": {"id": 7}}),
            "HTTP 200; no access token at access_token, access, token (access_paths); "
            f"the answer holds jwt, user.id {url}",
        ),
    ]:
        upstream.answers["/log-in"] = answer
        with pytest.raises(UpstreamError) as caught:
            UpstreamClient("up").login(**RIGHT)
        assert str(caught.value) == f"up/default: login failed: {said}; manage.py upstream_probe up shows what is sent"


def test_page_of_an_upstream_that_is_down(upstream: Upstream, transactional_db: None) -> None:
    """While an upstream is down there is nothing to look for in what is sent."""
    upstream.answers["/login"] = Answer(503, b"<p>Back soon", {"Content-Type": "text/html"})
    with pytest.raises(RefreshUnavailable) as caught:
        UpstreamClient("up").login(**RIGHT)
    assert str(caught.value) == f"up/default: login failed: HTTP 503: an HTML page (POST {upstream.url}login)"


def test_throttled_login(upstream: Upstream, transactional_db: None) -> None:
    """How long the upstream wants to be left alone is known to the caller, also if only its words say so."""
    said = "Too many failed login attempts, please try again in 1 minute."
    upstream.answers["/login"] = Answer(401, {"code": 401, "message": said})
    with pytest.raises(RefreshUnavailable, match="in 1 minute") as caught:
        UpstreamClient("up").login(**RIGHT)
    assert caught.value.retry_after == 60


# -- logins without a refresh token


def test_login_without_a_refresh_token(
    upstream: Upstream, transactional_db: None, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told at once: where the refresh token was looked for, and by name only what the answer holds instead."""
    upstream.answers["/login"] = Answer(200, {"access": "access-9", "refreshToken": "refresh-9", "user": {"id": 7}})
    UpstreamClient("up").login(**RIGHT)
    said = "no refresh token at refresh_token, refresh (refresh_paths); the answer holds access, refreshToken, user.id"
    (warning,) = (record for record in caplog.records if record.levelname == "WARNING")
    assert warning.getMessage() == f"up/default can't be renewed once its access token expires: {said}"
    assert Event.objects.get().reason == said
    assert "-9" not in caplog.text


@pytest.mark.parametrize("more", [{"LOGIN": RIGHT}, {"OPTIONS": {"refresh_fields": {"token": "{access}"}}}])
def test_login_that_needs_no_refresh_token(
    upstream: Upstream, settings: Any, transactional_db: None, caplog: pytest.LogCaptureFixture, more: Any
) -> None:
    """Nobody is warned where the app logs in again by itself, or refreshes with the access token."""
    settings.JWT_UPSTREAM["up"] |= more
    upstream.answers["/login"] = Answer(200, {"access": "access-9"})
    UpstreamClient("up").login(**RIGHT)
    assert [record for record in caplog.records if record.levelname == "WARNING"] == []


def test_adopted_without_a_refresh_token(upstream: Upstream, transactional_db: None) -> None:
    """The history says what was missing in what was adopted."""
    UpstreamClient("up").adopt(TokenPair("access-9"))
    assert Event.objects.get().reason == "adopted without a refresh token"


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
        with pytest.raises(CommandError, match=r"run manage\.py migrate; nothing was stored"):
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
