"""HubSpotBackend: what is sent, and what is read of the answers."""

from __future__ import annotations

from jwt_upstream.backends import HubSpotBackend, Verdict
from tests.support.exchanges import fields, minutes, replay

URL = "https://api.hubapi.com/oauth/v1/token"
CLIENT = {"client_id": "c1", "client_secret": "s3cret"}
BACKEND = HubSpotBackend("crm", "https://api.hubapi.com/", **CLIENT, redirect_uri="https://us.example.com/back")


def test_login() -> None:
    """The code goes with the client and the address that the browser came back to, which may be an option."""
    request, outcome = replay(BACKEND, URL, "hubspot-own-login-ok", {"code": "x1"})
    sent = {"grant_type": "authorization_code", "code": "x1", "redirect_uri": "https://us.example.com/back"}
    assert fields(request) == {**sent, **CLIENT}
    assert outcome.pair
    assert (outcome.pair.refresh, minutes(outcome.pair.access_expires_at)) == (
        "6f18f21e-a743-4509-b7fd-1a5e632fffa1",
        30,
    )
    assert HubSpotBackend("crm", "https://api.hubapi.com/").login_asks == ("code", "redirect_uri")


def test_refresh() -> None:
    """A refresh goes to the same place."""
    request, outcome = replay(BACKEND, URL, "hubspot-own-refresh-ok")
    assert fields(request) == {"grant_type": "refresh_token", "refresh_token": "r1", **CLIENT}
    assert outcome.verdict is Verdict.OK
