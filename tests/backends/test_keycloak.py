"""Keycloak: what is sent, and what is read of its answers."""

from __future__ import annotations

import pytest

from jwt_upstream.backends import KeycloakBackend, Verdict
from tests.support.exchanges import API, CLIENT, exchange, form, minutes, tokens

OPTIONS = {**CLIENT, "realm": "demo shop"}
GRANTED = {
    "access_token": "a2",
    "expires_in": 300,
    "refresh_expires_in": 1800,
    "refresh_token": "r2",
    "scope": "email",
}


def test_login() -> None:
    """A password grant to the realm's token endpoint, the client in the body."""
    request, outcome = exchange(KeycloakBackend("sso", API, **OPTIONS, scope="openid"), "login", GRANTED)
    assert request.url == f"{API}realms/demo%20shop/protocol/openid-connect/token"
    assert form(request) == {
        "grant_type": "password",
        "username": "bob",
        "password": "p w&",
        "scope": "openid",
        **CLIENT,
    }
    assert tokens(outcome) == ("a2", "r2")
    assert outcome.pair is not None
    assert (minutes(outcome.pair.access_expires_at), minutes(outcome.pair.refresh_expires_at)) == (5, 30)


def test_refresh() -> None:
    """A refresh goes to the endpoint of the login; a public client sends its id only."""
    backend = KeycloakBackend("sso", API, realm="demo", client_id="us")
    request, outcome = exchange(backend, "refresh", GRANTED)
    assert form(request) == {"grant_type": "refresh_token", "refresh_token": "r1", "client_id": "us"}
    assert tokens(outcome) == ("a2", "r2")


def test_offline_token() -> None:
    """A refresh lifetime of 0 means that the token never expires."""
    _, outcome = exchange(KeycloakBackend("sso", API, **OPTIONS), "login", {**GRANTED, "refresh_expires_in": 0})
    assert outcome.pair is not None
    assert outcome.pair.refresh_expires_at is None


def test_keycloak_on_another_host() -> None:
    """The whole address may stand in login_path, with the realm in it or without."""
    path = "https://sso.example.com/auth/realms/{realm}/protocol/openid-connect/token"
    request, _ = exchange(KeycloakBackend("sso", API, **{**OPTIONS, "login_path": path}), "refresh", GRANTED)
    assert request.url == "https://sso.example.com/auth/realms/demo%20shop/protocol/openid-connect/token"
    assert not KeycloakBackend("sso", API, **CLIENT, login_path="https://sso.example.com/token").missing()


@pytest.mark.parametrize("missing", ["realm", "client_id"])
def test_requires(missing: str) -> None:
    """Without realm or client nothing is asked."""
    backend = KeycloakBackend("sso", API, **{**OPTIONS, missing: ""})
    assert backend.login({"username": "bob", "password": "x"}).verdict is Verdict.CONFIG
    assert missing in backend.missing()
