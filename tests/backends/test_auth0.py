"""Auth0: what is sent, and what is read of its answers."""

from __future__ import annotations

from jwt_upstream.backends import Auth0Backend, Verdict
from tests.support.exchanges import API, CLIENT, exchange, form, minutes, tokens

OPTIONS = {**CLIENT, "domain": "example.eu.auth0.com"}
GRANTED = {"access_token": "a2", "expires_in": 86400, "token_type": "Bearer", "scope": "offline_access"}


def test_login() -> None:
    """A password grant for the audience, to the tenant's own host."""
    backend = Auth0Backend("api", API, **OPTIONS, audience=API, scope="offline_access")
    request, outcome = exchange(backend, "login", {**GRANTED, "refresh_token": "r2"})
    assert request.url == "https://example.eu.auth0.com/oauth/token"
    assert form(request) == {
        "grant_type": "password",
        "username": "bob",
        "password": "p w&",
        "audience": API,
        "scope": "offline_access",
        **CLIENT,
    }
    assert tokens(outcome) == ("a2", "r2")
    assert outcome.pair is not None
    assert minutes(outcome.pair.access_expires_at) == 1440


def test_refresh() -> None:
    """A refresh names neither scope nor audience; without rotation no new refresh token comes back."""
    request, outcome = exchange(Auth0Backend("api", API, **OPTIONS, audience=API), "refresh", GRANTED)
    assert form(request) == {"grant_type": "refresh_token", "refresh_token": "r1", **CLIENT}
    assert tokens(outcome) == ("a2", "")


def test_machine_to_machine() -> None:
    """With client credentials the grant, its audience included, is repeated in place of a refresh."""
    backend = Auth0Backend("api", API, **OPTIONS, audience=API, grant_type="client_credentials")
    request, _ = exchange(backend, "refresh", GRANTED)
    assert form(request) == {"grant_type": "client_credentials", "audience": API, **CLIENT}


def test_rate_limit() -> None:
    """Auth0 names the second at which to try again, instead of Retry-After."""
    headers = {"X-RateLimit-Reset": "4102444800"}  # in 2100
    _, outcome = exchange(Auth0Backend("api", API, **OPTIONS), "refresh", {"error": "too_many_requests"}, 429, headers)
    assert (outcome.verdict, outcome.retry_after) == (Verdict.TRANSIENT, Auth0Backend.retry_after_max)
