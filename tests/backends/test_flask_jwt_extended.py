"""FlaskJWTExtendedBackend: what is sent, and what is read of the answers."""

from __future__ import annotations

import pytest

from jwt_upstream.backends import FlaskJWTExtendedBackend, Verdict
from tests.support.exchanges import API, PERSON, exchange, fields, replay, tokens

BACKEND = FlaskJWTExtendedBackend("shop", API)


def test_login() -> None:
    """JSON, without a token."""
    request, outcome = replay(BACKEND, f"{API}login", "flask-jwt-extended-own-login-ok", PERSON)
    assert fields(request) == {"username": "bob", "password": "p w&"}
    assert "Authorization" not in request.headers
    assert outcome.pair
    assert all([outcome.pair.refresh, outcome.pair.access_expires_at, outcome.pair.refresh_expires_at])


def test_refresh() -> None:
    """The refresh token is the bearer and there is no body; it stays good."""
    request, outcome = exchange(BACKEND, "refresh", {"access_token": "a2"})
    assert (request.url, request.headers["Authorization"], request.body) == (f"{API}refresh", "Bearer r1", None)
    assert tokens(outcome) == ("a2", "")


@pytest.mark.parametrize(
    ("status", "said", "verdict"),
    [
        (401, "Token has expired", Verdict.REJECTED),
        (401, "Token has been revoked", Verdict.REJECTED),
        (422, "Signature verification failed", Verdict.REJECTED),
        (422, "Only refresh tokens are allowed", Verdict.REJECTED),
        (422, "title is too long", Verdict.CONFIG),
        (401, "Error loading the user bob", Verdict.LOCKED),
        (401, "Missing Authorization Header", Verdict.CONFIG),
    ],
)
def test_refusals(status: int, said: str, verdict: Verdict) -> None:
    """A token that is no good is a 422, and so are an application's own complaints."""
    _, outcome = exchange(BACKEND, "refresh", {"msg": said}, status)
    assert outcome.verdict is verdict
