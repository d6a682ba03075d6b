"""Django OAuth Toolkit: what is sent, and what is read of its answers."""

from __future__ import annotations

from jwt_upstream.backends import DjangoOAuthToolkitBackend
from tests.support.exchanges import API, CLIENT, exchange, form, minutes, tokens

GRANTED = {"access_token": "a2", "expires_in": 36000, "token_type": "Bearer", "scope": "read", "refresh_token": "r2"}


def test_login() -> None:
    """A password grant, the client by Basic."""
    request, outcome = exchange(DjangoOAuthToolkitBackend("shop", API, **CLIENT), "login", GRANTED)
    assert request.url == f"{API}o/token/"
    assert request.headers["Authorization"] == "Basic dXM6czNjcmV0"
    assert form(request) == {"grant_type": "password", "username": "bob", "password": "p w&"}
    assert tokens(outcome) == ("a2", "r2")
    assert outcome.pair is not None
    assert minutes(outcome.pair.access_expires_at) == 600


def test_refresh() -> None:
    """A refresh rotates."""
    request, outcome = exchange(DjangoOAuthToolkitBackend("shop", API, **CLIENT), "refresh", GRANTED)
    assert form(request) == {"grant_type": "refresh_token", "refresh_token": "r1"}
    assert tokens(outcome) == ("a2", "r2")
