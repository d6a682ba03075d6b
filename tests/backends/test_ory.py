"""Ory Hydra: what is sent, and what is read of its answers."""

from __future__ import annotations

from jwt_upstream.backends import OryBackend
from tests.support.exchanges import API, CLIENT, exchange, form, tokens

GRANTED = {
    "access_token": "ory_at_2",
    "expires_in": 3599,
    "refresh_token": "ory_rt_2",
    "scope": "offline",
    "token_type": "bearer",
}


def test_login() -> None:
    """With the code that a person's consent gave."""
    request, outcome = exchange(OryBackend("api", API, **CLIENT), "login", GRANTED)
    assert form(request) == {"grant_type": "authorization_code", "code": "4/0A", "redirect_uri": "http://localhost/"}
    assert tokens(outcome) == ("ory_at_2", "ory_rt_2")


def test_client_credentials() -> None:
    """Client credentials, by Basic; there is no refresh token and none is needed."""
    backend = OryBackend("api", API, **CLIENT, grant_type="client_credentials", scope="read")
    request, outcome = exchange(backend, "login", {"access_token": "ory_at_2", "expires_in": 3599})
    assert request.url == f"{API}oauth2/token"
    assert request.headers["Authorization"] == "Basic dXM6czNjcmV0"
    assert form(request) == {"grant_type": "client_credentials", "scope": "read"}
    assert tokens(outcome) == ("ory_at_2", "")


def test_refresh() -> None:
    """A refresh rotates."""
    request, outcome = exchange(OryBackend("api", API, **CLIENT), "refresh", GRANTED)
    assert form(request) == {"grant_type": "refresh_token", "refresh_token": "r1"}
    assert tokens(outcome) == ("ory_at_2", "ory_rt_2")
