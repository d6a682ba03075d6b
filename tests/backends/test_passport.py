"""league/oauth2-server and Laravel Passport: what is sent, and what is read of their answers."""

from __future__ import annotations

from jwt_upstream.backends import PassportBackend, Verdict
from tests.support.exchanges import API, CLIENT, exchange, form, tokens

GRANTED = {"token_type": "Bearer", "expires_in": 31536000, "access_token": "a2", "refresh_token": "r2"}


def test_login() -> None:
    """A password grant to Passport's route."""
    request, outcome = exchange(PassportBackend("shop", API, **CLIENT, scope="*"), "login", GRANTED)
    assert request.url == f"{API}oauth/token"
    assert form(request) == {
        "grant_type": "password",
        "username": "bob",
        "password": "p w&",
        "scope": "*",
        **CLIENT,
    }
    assert tokens(outcome) == ("a2", "r2")


def test_refresh() -> None:
    """A refresh rotates."""
    request, outcome = exchange(PassportBackend("shop", API, **CLIENT), "refresh", GRANTED)
    assert form(request) == {"grant_type": "refresh_token", "refresh_token": "r1", **CLIENT}
    assert tokens(outcome) == ("a2", "r2")


def test_reason() -> None:
    """Of a refusal the hint is shown, which says more than the description."""
    body = {
        "error": "invalid_grant",
        "error_description": "The refresh token is invalid.",
        "hint": "Token has expired",
    }
    _, outcome = exchange(PassportBackend("shop", API, **CLIENT), "refresh", body, 400)
    assert (outcome.verdict, outcome.reason) == (Verdict.REJECTED, "HTTP 400: Token has expired")
