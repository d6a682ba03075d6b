"""Keys and passwords that never expire: sent without a login, rejected once, and replaced where they are kept."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.core.management import call_command
from django.test import Client as Browser
from django.urls import reverse

from jwt_upstream.backends import BasicAuthBackend, StaticKeyBackend, Verdict
from jwt_upstream.background import refresh_due
from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import (
    CredentialRejected,
    LoginRejected,
    NotLoggedIn,
    RefreshUnavailable,
    UpstreamMisconfigured,
)
from jwt_upstream.models import Credential, Event
from tests.support.upstream import Answer, Seen, Upstream

KEY = "jwt_upstream.backends.StaticKeyBackend"
BASIC = "jwt_upstream.backends.BasicAuthBackend"


@pytest.fixture
def server(upstream: Upstream, settings: Any, transactional_db: None) -> Upstream:
    """An upstream that takes the key "k1" from anybody, and has a route that takes nothing."""
    settings.ADMINS = [("Ann", "ann@example.com")]
    settings.JWT_UPSTREAM = {"up": {"BACKEND": KEY, "BASE_URL": upstream.url, "LOGIN": {"api_key": "k1"}}}
    upstream.access = {"k1"}
    upstream.answers["/orders/"] = lambda seen: guarded(upstream, seen)
    upstream.answers["/me"] = lambda seen: guarded(upstream, seen)
    upstream.answers["/closed/"] = Answer(401, {"detail": "no"}, {"WWW-Authenticate": 'Basic realm="api key"'})
    return upstream


def guarded(upstream: Upstream, seen: Seen) -> Answer:
    keys = {seen.headers.get("X-Key"), seen.token, seen.path.rpartition("key=")[2]}
    refusal = Answer(401, {"detail": "Invalid API key"}, {"WWW-Authenticate": "Basic"})
    return Answer(200, [7]) if keys & upstream.access else refusal


def configure(settings: Any, **written: Any) -> UpstreamClient:
    settings.JWT_UPSTREAM["up"].update(written)
    return UpstreamClient("up")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"api_headers": {"X-Key": "{access}"}},
        {"api_headers": {}, "api_query": {"key": "{access}"}},
        {"api_headers": {"X-Key": "k{access}"}, "key_format": "{number}"},
    ],
)
def test_call_without_login(server: Upstream, settings: Any, options: dict[str, Any]) -> None:
    """A call needs no login: nothing but the call is sent, with the key where the server wants it."""
    login = {"number": "1"} if "key_format" in options else {"api_key": "k1"}
    client = configure(settings, OPTIONS=options, LOGIN=login)
    assert [client.get("orders/").status_code for _ in range(2)] == [200, 200]
    assert [seen.route for seen in server.seen] == ["/orders/", "/orders/"]
    row = Credential.objects.get()
    assert (row.state, row.access_expires_at, row.pair.refresh) == ("active", None, "")
    assert "k1" not in repr(vars(row))


@pytest.mark.parametrize("kept", ["file", "call", "option", "option in a file"])
def test_where_the_key_is_kept(server: Upstream, settings: Any, tmp_path: Path, kept: str) -> None:
    """The key may be in a file, be returned by a function, or be an option."""
    (tmp_path / "key").write_text("k1\n")
    written: Any = {
        "file": {"LOGIN": {"api_key": f"file:{tmp_path / 'key'}"}},
        "call": {"LOGIN": {"api_key": lambda: "k1"}},
        "option": {"LOGIN": {}, "OPTIONS": {"api_key": "k1"}},
        "option in a file": {
            "LOGIN": {},
            "OPTIONS": {"client_secret": f"file:{tmp_path / 'key'}", "key_format": "{client_secret}"},
        },
    }[kept]
    client = configure(settings, **written)
    assert client.get("orders/").json() == [7]


def test_secret_of_options_that_is_replaced(server: Upstream, settings: Any, tmp_path: Path) -> None:
    """A key that is made of a secret in a file is that of the file at the next 401, and is tested with it."""
    (tmp_path / "key").write_text("k1")
    options = {"client_secret": f"file:{tmp_path / 'key'}", "key_format": "{client_secret}", "test_path": "me"}
    client = configure(settings, LOGIN={}, OPTIONS=options)
    assert client.get("orders/").json() == [7]
    server.access = {"k2"}
    (tmp_path / "key").write_text("k2")
    assert client.get("orders/").json() == [7]
    assert [seen.token for seen in server.seen] == ["k1", "k1", "k1", "k2", "k2"]


def test_basic(server: Upstream, settings: Any) -> None:
    """HTTP Basic has a name and a password in UTF-8, spaces and all; the password is stored encrypted."""
    login = {"username": "bob", "password": "correct hörse:"}
    client = configure(settings, BACKEND=BASIC, LOGIN=login)
    server.answers["/orders/"] = Answer(200, [])
    client.get("orders/")
    expected = b64encode("bob:correct hörse:".encode()).decode()
    assert server.seen[0].headers["Authorization"] == f"Basic {expected}"
    own = BasicAuthBackend("up", server.url, key_format="{base64:{username}/token:{api_key}}")
    pair = own.login({"username": "bob", "api_key": "k"}).pair
    assert pair
    assert (own.login_asks, pair.access) == (("username", "api_key"), b64encode(b"bob/token:k").decode())


def test_refused_key(server: Upstream, settings: Any) -> None:
    """A refused key is rejected: nothing more is sent, and the admins are told once, whatever else is tried."""
    client = UpstreamClient("up")
    client.get("orders/")
    server.access = set()
    for _ in range(3):
        with pytest.raises(CredentialRejected, match=r"refuses the key, which does not expire.*correct LOGIN in the"):
            client.get("orders/")
    assert [seen.route for seen in server.seen] == ["/orders/", "/orders/"]
    assert Credential.objects.get().state == "rejected"
    refresh_due()
    assert (len(server.seen), len(mail.outbox)) == (2, 1)


def test_key_that_is_replaced(server: Upstream, settings: Any, tmp_path: Path) -> None:
    """Another key in LOGIN is taken at the first 401, also after a rejection, and by hand at once."""
    (tmp_path / "key").write_text("k1")
    client = configure(settings, LOGIN={"api_key": f"file:{tmp_path / 'key'}"})
    client.get("orders/")
    server.access = {"k2"}
    (tmp_path / "key").write_text("k2")
    assert client.get("orders/").json() == [7]
    server.access = {"k3"}
    with pytest.raises(CredentialRejected):
        client.get("orders/")
    settings.JWT_UPSTREAM = {"up": {**settings.JWT_UPSTREAM["up"], "LOGIN": {"api_key": "k3"}}}
    assert UpstreamClient("up").get("orders/").json() == [7]
    settings.JWT_UPSTREAM = {"up": {**settings.JWT_UPSTREAM["up"], "LOGIN": {"api_key": "k4"}}}
    assert UpstreamClient("up").refresh().access == "k4"
    assert not mail.outbox[2:]


def test_refresh_by_hand(server: Upstream, settings: Any) -> None:
    """Whoever refreshes by hand rejects nothing: the same key is as good as before."""
    client = UpstreamClient("up")
    client.get("orders/")
    assert client.refresh().access == "k1"
    server.access = set()
    with pytest.raises(CredentialRejected):
        client.get("orders/")
    server.access = {"k1"}
    call_command("upstream_try_again", "up")
    assert client.get("orders/").json() == [7]


def test_stored_key(server: Upstream, settings: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Without LOGIN a key is stored by a login, each account's its own; a refused one needs another login."""
    client = configure(settings, LOGIN={})
    with pytest.raises(NotLoggedIn, match=r"log in: manage\.py upstream_login up"):
        client.get("orders/")
    client.login(api_key="k1")
    UpstreamClient("up", "tenant").login(api_key="k2")
    assert not server.seen
    assert client.get("orders/").json() == [7]
    assert client.refresh().access == "k1"
    with pytest.raises(CredentialRejected, match="refuses the key, which does not expire; another one is needed"):
        UpstreamClient("up", "tenant").get("orders/")
    UpstreamClient("up", "tenant").login(api_key="k1")
    assert UpstreamClient("up", "tenant").get("orders/").json() == [7]


def test_key_in_options(server: Upstream, settings: Any) -> None:
    """A refused key of OPTIONS is a mistake in the settings, told once, and another one is taken at the next 401."""
    client = configure(settings, LOGIN={}, OPTIONS={"api_key": "k1", "backoff": 0.0, "backoff_max": 0.0})
    client.get("orders/")
    server.access = {"k2"}
    for _ in range(2):
        with pytest.raises(UpstreamMisconfigured, match="refuses the key that OPTIONS has; put another one there"):
            client.get("orders/")
    assert (Credential.objects.get().state, len(mail.outbox)) == ("active", 1)
    settings.JWT_UPSTREAM = {
        "up": {"BACKEND": KEY, "BASE_URL": server.url, "OPTIONS": {"api_key": "k2", "backoff": 0.0}}
    }
    assert UpstreamClient("up").get("orders/").json() == [7]


@pytest.mark.parametrize("login", [{"api_key": "k1"}, {}])
def test_path_that_decides(server: Upstream, settings: Any, login: dict[str, str]) -> None:
    """With a test_path a 401 of one route is that route's, and costs one test in ``min_refresh_interval``."""
    client = configure(settings, OPTIONS={"test_path": "me"}, LOGIN=login)
    if not login:
        client.login(api_key="k1")
    client.get("orders/")
    assert [client.get("closed/").status_code for _ in range(3)] == [401] * 3
    assert [seen.route for seen in server.seen] == ["/me", "/orders/", "/closed/", "/me", "/closed/", "/closed/"]
    assert Credential.objects.get().state == "active"
    Credential.objects.update(refresh_suppressed_until=None)
    server.access = set()
    with pytest.raises(CredentialRejected, match="HTTP 401: Invalid API key"):
        client.get("orders/")


@pytest.mark.parametrize(
    ("answer", "error", "reason"),
    [
        (Answer(401, {"detail": "no k2-secret-key"}), LoginRejected, r"HTTP 401: no \[…\]"),
        (Answer(503, {}), RefreshUnavailable, "HTTP 503"),
        (Answer(429, {}, {"Retry-After": "7"}), RefreshUnavailable, "HTTP 429"),
    ],
)
def test_login_that_is_tested(
    server: Upstream, settings: Any, answer: Answer, error: type[Exception], reason: str
) -> None:
    """With a test_path a login stores a key only if it works; a 403 or 404 says nothing of it."""
    client = configure(settings, OPTIONS={"test_path": "me"}, LOGIN={})
    server.answers["/me"] = answer
    with pytest.raises(error, match=reason):
        client.login(api_key="k2-secret-key")
    assert not Credential.objects.exists()
    server.answers["/me"] = Answer(403, {})
    client.login(api_key="k2-secret-key")
    assert Event.objects.get().status_code == 403


def test_answer_that_is_explained(server: Upstream) -> None:
    """What upstream_probe explains of a login is the answer of test_path."""
    backend, seen = StaticKeyBackend("up", server.url, test_path="me"), list[tuple[str, int]]()
    backend.recorder = lambda where, response: seen.append((where, response.status_code))
    backend.login({"api_key": "k1"})
    assert seen == [("api", 200)]


def test_values_that_are_wrong(server: Upstream, settings: Any) -> None:
    """A key that no header carries is refused without showing it; mistakes in the options are found at start."""
    backend = StaticKeyBackend("up", server.url)
    outcome = backend.login({"api_key": "se cret"})
    assert outcome.verdict is Verdict.REJECTED
    assert outcome.reason == "nothing was sent: key has a character that an HTTP header can't carry"
    assert backend.login({"api_key": " "}).reason == "the key is empty"
    with pytest.raises(TypeError, match="a login at up needs api_key"):
        backend.login({})
    assert list(backend.check()) == []
    for wrong in ("fixed", "{base46:{api_key}}"):
        assert "key_format" in next(iter(StaticKeyBackend("up", server.url, key_format=wrong).check()))
    options = {"key_format": "{client_secret}", "client_secret": ["k1", "k2"]}
    (problem,) = StaticKeyBackend("up", server.url, **options).check()
    assert "client_secret must be a single secret" in problem


def test_status(server: Upstream, settings: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """upstream_status says that nothing expires, and before the first call that nobody has to log in."""
    call_command("upstream_status", "--json")
    (before,) = json.loads(capsys.readouterr().out)["credentials"]
    assert (before["needs_human"], before["reason"]) == (False, "logs in by itself at the first call")
    UpstreamClient("up").get("orders/")
    call_command("upstream_status")
    row = capsys.readouterr().out.splitlines()[1].split()
    assert (row[2], row[-2:]) == ("active", ["never", "-"])


@pytest.mark.django_db
def test_admin(server: Upstream, settings: Any, admin_client: Browser) -> None:
    """The admin says the same, also of a credential whose upstream is gone from the settings."""
    UpstreamClient("up").get("orders/")
    lists = reverse("admin:jwt_upstream_credential_changelist")
    page = reverse("admin:jwt_upstream_credential_change", args=[Credential.objects.get().pk])
    for url in (lists, page):
        assert "never expires" in admin_client.get(url).content.decode()
    settings.JWT_UPSTREAM = {}
    assert "unknown expiry" in admin_client.get(lists).content.decode()
