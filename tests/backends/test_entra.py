"""Microsoft Entra ID: what is sent, and what is read of its answers."""

from __future__ import annotations

from jwt_upstream.backends import EntraBackend
from tests.support.exchanges import CLIENT, exchange, form, minutes, tokens

GRAPH = "https://graph.microsoft.com/v1.0/"
SCOPE = "https://graph.microsoft.com/.default offline_access"
OPTIONS = {**CLIENT, "tenant": "contoso.onmicrosoft.com", "scope": SCOPE}
GRANTED = {"access_token": "a2", "token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "scope": "x"}
URL = "https://login.microsoftonline.com/contoso.onmicrosoft.com/oauth2/v2.0/token"


def test_login() -> None:
    """A password grant to the tenant's endpoint."""
    request, outcome = exchange(EntraBackend("graph", GRAPH, **OPTIONS), "login", {**GRANTED, "refresh_token": "r2"})
    assert request.url == URL
    assert form(request) == {
        "grant_type": "password",
        "username": "bob",
        "password": "p w&",
        "scope": SCOPE,
        **CLIENT,
    }
    assert tokens(outcome) == ("a2", "r2")
    assert outcome.pair is not None
    assert minutes(outcome.pair.access_expires_at) == 60


def test_refresh() -> None:
    """The scope goes along; without one it would be whatever was consented to first."""
    request, _ = exchange(EntraBackend("graph", GRAPH, **OPTIONS), "refresh", GRANTED)
    assert form(request) == {"grant_type": "refresh_token", "refresh_token": "r1", "scope": SCOPE, **CLIENT}


def test_application() -> None:
    """An application of its own repeats its grant."""
    backend = EntraBackend("graph", GRAPH, **OPTIONS, grant_type="client_credentials")
    request, outcome = exchange(backend, "refresh", GRANTED)
    assert form(request) == {"grant_type": "client_credentials", "scope": SCOPE, **CLIENT}
    assert tokens(outcome) == ("a2", "")
