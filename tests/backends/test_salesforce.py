"""Salesforce: what is sent, and what is read of its answers."""

from __future__ import annotations

from jwt_upstream.backends import SalesforceBackend
from tests.support.exchanges import CLIENT, exchange, form, tokens

URL = "https://example.my.salesforce.com/"
GRANTED = {
    "access_token": "00D!a2",
    "instance_url": "https://example.my.salesforce.com",
    "id": "https://login.salesforce.com/id/00D/005",
    "token_type": "Bearer",
    "issued_at": "1795416600000",
    "signature": "x",
}


def test_login() -> None:
    """A password grant to My Domain; the answer has neither refresh token nor lifetime."""
    request, outcome = exchange(SalesforceBackend("crm", URL, **CLIENT), "login", GRANTED)
    assert request.url == f"{URL}services/oauth2/token"
    assert form(request) == {"grant_type": "password", "username": "bob", "password": "p w&", **CLIENT}
    assert tokens(outcome) == ("00D!a2", "")
    assert outcome.pair is not None
    assert outcome.pair.access_expires_at is None


def test_refresh() -> None:
    """The refresh token stays good unless rotation is on."""
    request, outcome = exchange(SalesforceBackend("crm", URL, **CLIENT), "refresh", {**GRANTED, "refresh_token": "r2"})
    assert form(request) == {"grant_type": "refresh_token", "refresh_token": "r1", **CLIENT}
    assert tokens(outcome) == ("00D!a2", "r2")
