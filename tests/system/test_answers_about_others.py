"""A call's answer that is about somebody else: what its caller gets, and what becomes of our credential."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core import mail

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import AccountLocked
from jwt_upstream.models import Credential, Event
from jwt_upstream.refresh import try_again
from jwt_upstream.testing import logged_in
from tests.support.upstream import Answer, Seen, Upstream

LogIn = Callable[[str], UpstreamClient]

HIDDEN = Answer(401, {"code": 401, "message": "Invalid credentials."}, {"WWW-Authenticate": "Bearer"})
BASIC = {"WWW-Authenticate": 'Basic realm="api"'}
#: What the upstream of the tests takes, for the backends of other servers.
OPTIONS: dict[str, Any] = {
    "client_id": "us",
    "client_secret": "their secret",
    "refresh_path": "refresh",
    "refresh_fields": {"refresh": "{refresh}"},
    "refresh_format": "json",
    "access_paths": ["access"],
    "refresh_paths": ["refresh"],
}


@pytest.fixture
def log_in_at(upstream: Upstream, settings: Any, transactional_db: None) -> LogIn:
    """What makes the upstream one that a backend is for, and a client which is logged in there."""

    def log_in(backend: str) -> UpstreamClient:
        path = f"jwt_upstream.backends.{backend}"
        settings.JWT_UPSTREAM = {"up": {"BACKEND": path, "BASE_URL": upstream.url, "OPTIONS": OPTIONS}}
        pair = upstream.issue()
        logged_in("up", access=pair["access"], refresh=pair["refresh"])
        return UpstreamClient("up")

    return log_in


@pytest.mark.parametrize(
    ("backend", "status", "body"),
    [
        ("Backend", 400, {"message": "Account is disabled."}),
        ("Backend", 423, {"detail": "Account is locked."}),
        ("Backend", 403, {"message": "Token expired."}),
        ("OAuth2Backend", 400, {"message": "Invalid access token."}),
        ("OAuth2Backend", 422, {"error": "jwt expired"}),
        ("LaravelJWTBackend", 404, {"message": "User not found"}),
        ("DRFJWTBackend", 400, {"non_field_errors": ["User doesn't exist."]}),
        ("LexikBackend", 403, {"message": "Account has expired."}),
        ("GitHubBackend", 403, {"message": "Sorry. Your account was suspended."}),
        ("FastAPIBackend", 400, {"detail": "Inactive user"}),
        ("StrapiBackend", 400, {"error": {"message": "Your account has been blocked by an administrator"}}),
        ("DirectusBackend", 404, {"errors": [{"extensions": {"code": "USER_SUSPENDED"}}]}),
    ],
)
def test_goes_to_the_caller(
    log_in_at: LogIn,
    upstream: Upstream,
    mailoutbox: list[mail.EmailMessage],
    backend: str,
    status: int,
    body: Any,
) -> None:
    """An error about somebody else is handed over unchanged, after one request, and nothing is recorded or told."""
    client = log_in_at(backend)
    events = Event.objects.count()
    upstream.answers["/users/999"] = Answer(status, body)
    response = client.post("users/999", json={"a": 1})
    assert (response.status_code, response.json(), response.history) == (status, body, [])
    assert [seen.path for seen in upstream.seen] == ["/users/999"]
    assert (Event.objects.count(), Credential.objects.get().state, mailoutbox) == (events, "active", [])


def test_login_of_a_visitor(log_in_at: LogIn, upstream: Upstream, mailoutbox: list[mail.EmailMessage]) -> None:
    """A visitor's wrong password, tried by a call, costs one refresh in a while and nobody's access."""
    client = log_in_at("LexikBackend")
    upstream.answers["/login_check"] = HIDDEN
    for _ in range(3):
        assert client.post("login_check", json={"username": "eve", "password": "x"}).json() == HIDDEN.body
    assert client.get("orders/").status_code == 200
    assert upstream.refreshes == 1
    assert (Credential.objects.get().state, mailoutbox) == ("active", [])


def test_the_same_said_of_our_account(
    log_in_at: LogIn, upstream: Upstream, mailoutbox: list[mail.EmailMessage]
) -> None:
    """If our own user is meant, the refresh is refused in the same words, which lock and spend nothing."""
    client = log_in_at("LexikBackend")
    upstream.answers |= {"/orders/": HIDDEN, "/refresh": HIDDEN}
    for _ in range(2):
        with pytest.raises(AccountLocked):
            client.get("orders/")
    assert (upstream.refreshes, len(mailoutbox)) == (1, 1)
    upstream.answers.clear()
    upstream.expire()
    try_again(Credential.objects.get())
    assert client.get("orders/").status_code == 200


@pytest.mark.parametrize("backend", ["SimpleJWTBackend", "OAuth2Backend"])
def test_dead_token_beside_another_challenge(log_in_at: LogIn, upstream: Upstream, backend: str) -> None:
    """Django REST framework with BasicAuthentication first sends its challenge; a dead token is refreshed for."""
    dead = Answer(401, {"detail": "Given token not valid for any token type", "code": "token_not_valid"}, BASIC)

    def orders(seen: Seen) -> Answer | None:
        return None if seen.token in upstream.access else dead

    client = log_in_at(backend)
    upstream.answers["/orders/"] = orders
    upstream.expire()
    assert [client.get("orders/").status_code for _ in range(3)] == [200] * 3
    assert upstream.refreshes == 1


def test_wall(log_in_at: LogIn, upstream: Upstream) -> None:
    """A challenge for Basic and no word about a token goes to the caller."""
    client = log_in_at("SimpleJWTBackend")
    upstream.answers["/staging/"] = Answer(401, b"", BASIC)
    assert client.get("staging/").status_code == 401
    assert upstream.refreshes == 0
