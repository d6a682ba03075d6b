"""LaravelJWTBackend: what is sent, and what is read of the answers."""

from __future__ import annotations

import pytest
from requests import Request

from jwt_upstream.backends import LaravelJWTBackend, Verdict
from jwt_upstream.tokens import TokenPair
from tests.support.exchanges import API, PERSON, exchange, fields, minutes, replay, tokens

BACKEND = LaravelJWTBackend("shop", API)


def test_login() -> None:
    """An e-mail address and a password; the lifetime is stated."""
    request, outcome = replay(BACKEND, f"{API}auth/login", "jwtauth-login-ok", PERSON)
    assert fields(request) == {"email": "bob", "password": "p w&"}
    assert request.headers["Accept"] == "application/json"  # else Laravel redirects to a page
    assert outcome.pair
    assert (outcome.pair.refresh, minutes(outcome.pair.access_expires_at)) == ("", 60)


def test_refresh() -> None:
    """The access token is what a refresh takes, as bearer and without a body."""
    request, outcome = exchange(BACKEND, "refresh", {"access_token": "a2", "token_type": "bearer", "expires_in": 3600})
    assert (request.url, request.headers["Authorization"], request.body) == (f"{API}auth/refresh", "Bearer a1", None)
    assert tokens(outcome) == ("a2", "")


def test_middleware() -> None:
    """The jwt.refresh middleware gives the new token in a header, whatever the route answers."""
    _, outcome = exchange(BACKEND, "refresh", {"data": "ok"}, headers={"Authorization": "Bearer a2"})
    assert tokens(outcome) == ("a2", "")


@pytest.mark.parametrize(
    ("asked_for", "sent"), [(None, "application/json"), ("*/*", "application/json"), ("text/csv",) * 2]
)
def test_calls_ask_for_json(asked_for: str | None, sent: str) -> None:
    """A call that accepts anything asks for JSON, or a dead token would get a redirect to a page in place of a 401."""
    request = Request("GET", f"{API}orders/", headers={"Accept": asked_for} if asked_for else {}).prepare()
    BACKEND.authorize(request, TokenPair("a1"))
    assert (request.headers["Authorization"], request.headers["Accept"]) == ("Bearer a1", sent)


def test_what_a_refresh_takes() -> None:
    """No refresh token is needed, an access token is."""
    assert not BACKEND.needs_refresh_token
    assert (BACKEND.can_refresh(TokenPair("a1")), BACKEND.can_refresh(TokenPair(""))) == (True, False)


@pytest.mark.parametrize(
    ("status", "said", "verdict"),
    [
        (401, "Token has expired and can no longer be refreshed", Verdict.REJECTED),
        (401, "Unauthenticated.", Verdict.REJECTED),
        (500, "The token has been blacklisted", Verdict.REJECTED),
        (500, "Server Error", Verdict.TRANSIENT),
        (401, "Token not provided", Verdict.CONFIG),
        (401, "User not found", Verdict.LOCKED),
    ],
)
def test_refusals(status: int, said: str, verdict: Verdict) -> None:
    """A refusal that no handler caught is a 500, told by its text if the server shows it."""
    _, outcome = exchange(BACKEND, "refresh", {"message": said}, status)
    assert outcome.verdict is verdict
