"""Okta: what is sent, and what is read of its answers."""

from __future__ import annotations

import pytest

from jwt_upstream.backends import Auth0Backend, Backend, CognitoBackend, OktaBackend, Verdict
from tests.support.exchanges import API, CLIENT, exchange, form, tokens

OPTIONS = {**CLIENT, "domain": "example.okta.com"}
GRANTED = {"access_token": "a2", "expires_in": 3600, "refresh_token": "r2", "scope": "offline_access", "id_token": "i"}


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({}, "oauth2/default/v1/token"),
        ({"authorization_server": "aus1"}, "oauth2/aus1/v1/token"),
        ({"login_path": "https://{domain}/oauth2/v1/token"}, "oauth2/v1/token"),
    ],
)
def test_login(options: dict[str, str], path: str) -> None:
    """A password grant to an authorization server of the organisation, the client by Basic."""
    backend = OktaBackend("api", API, **OPTIONS, **options, scope="offline_access")
    request, outcome = exchange(backend, "login", GRANTED)
    assert request.url == f"https://example.okta.com/{path}"
    assert request.headers["Authorization"] == "Basic dXM6czNjcmV0"
    assert form(request) == {
        "grant_type": "password",
        "username": "bob",
        "password": "p w&",
        "scope": "offline_access",
    }
    assert tokens(outcome) == ("a2", "r2")


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (OktaBackend, {"domain": "https://example.okta.com"}),
        (Auth0Backend, {"domain": "example.eu.auth0.com/"}),
        (CognitoBackend, {"region": "eu-west-1 "}),
    ],
)
def test_domain_that_is_no_host(kind: type[Backend], options: dict[str, str]) -> None:
    """A scheme, a slash or a space in an option that a host is made of is found, and told once."""
    (problem,) = kind("api", API, **CLIENT, **options).check()
    (name,) = options
    assert problem.endswith(f"valid http:// or https:// URL; {name} must be a host or a part of one, and nothing more")


def test_refresh() -> None:
    """The refresh token alone."""
    request, outcome = exchange(OktaBackend("api", API, **OPTIONS), "refresh", GRANTED)
    assert form(request) == {"grant_type": "refresh_token", "refresh_token": "r1"}
    assert tokens(outcome) == ("a2", "r2")


def test_rate_limit() -> None:
    """Okta names the second at which to try again, and says what it is with its own fields."""
    body = {"errorCode": "E0000047", "errorSummary": "API call exceeded rate limit due to too many requests."}
    _, outcome = exchange(
        OktaBackend("api", API, **OPTIONS), "refresh", body, 429, {"X-Rate-Limit-Reset": "4102444800"}
    )
    assert (outcome.verdict, outcome.retry_after) == (Verdict.TRANSIENT, OktaBackend.retry_after_max)
    assert outcome.reason == "HTTP 429: API call exceeded rate limit due to too many requests."
