"""DRFJWTBackend: what is sent, and what is read of the answers."""

from __future__ import annotations

import pytest

from jwt_upstream.backends import DRFJWTBackend, Verdict
from tests.support.exchanges import API, PERSON, exchange, fields, replay, tokens

BACKEND = DRFJWTBackend("shop", API)


def test_login() -> None:
    """A login is JSON; the answer is a 201, and the dates in it are no expiry."""
    request, outcome = replay(BACKEND, f"{API}api-token-auth/", "drf-jwt-own-login-ok", PERSON)
    assert fields(request) == {"username": "bob", "password": "p w&"}
    assert outcome.pair
    assert (outcome.verdict, bool(outcome.pair.access_expires_at), outcome.pair.refresh) == (Verdict.OK, True, "")


def test_refresh() -> None:
    """The access token is what a refresh takes."""
    request, outcome = exchange(BACKEND, "refresh", {"pk": 1795416600, "token": "a2"}, 201)
    assert (request.url, fields(request)) == (f"{API}api-token-refresh/", {"token": "a1"})
    assert tokens(outcome) == ("a2", "")


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("Token has expired.", Verdict.REJECTED),
        ("Refresh has expired.", Verdict.REJECTED),
        ("Token is blacklisted.", Verdict.REJECTED),
        ("User account is disabled.", Verdict.LOCKED),
        ("User doesn't exist.", Verdict.LOCKED),
        ("orig_iat field not found in token.", Verdict.CONFIG),
    ],
)
def test_refusals(said: str, verdict: Verdict) -> None:
    """Everything is a bad request, told by its text."""
    _, outcome = exchange(BACKEND, "refresh", {"non_field_errors": [said]}, 400)
    assert (outcome.verdict, outcome.reason) == (verdict, f"HTTP 400: {said}")
