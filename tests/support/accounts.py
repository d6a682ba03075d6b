"""Upstreams at which each account has its own host, path or client."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import responses

SHOP: dict[str, Any] = {
    "BACKEND": "jwt_upstream.backends.Backend",
    "BASE_URL": "https://{subdomain}.shop.example.com/{region}/",
    "OPTIONS": {
        "login_fields": {"user": "{username}", "pass": "{password}", "tenant": "{region}"},
        "client_id": "{subdomain}-app",
        "client_secret": "{client_secret}",
        "client_authentication": "post",
        "api_headers": {"Authorization": "Bearer {access}", "X-Region": "{region}"},
    },
    "ACCOUNTS": {"parameters": ["subdomain", "region"], "secrets": ["client_secret"]},
}
#: A server of which each account is a client, and nothing more.
CLIENTS: dict[str, Any] = {
    "BACKEND": "jwt_upstream.backends.OAuth2Backend",
    "BASE_URL": "https://api.example.com/",
    "OPTIONS": {
        "grant_type": "client_credentials",
        "login_path": "token",
        "client_id": "{client}",
        "client_secret": "{client_secret}",
        "client_authentication": "post",
    },
    "ACCOUNTS": {"parameters": ["client"], "secrets": ["client_secret"]},
}
ACME = {"subdomain": "acme", "region": "eu"}
SECRETS = {"client_secret": "acme's client secret"}


def shop(**changes: Any) -> dict[str, Any]:
    """Return JWT_UPSTREAM with the first of these, changed."""
    return {"shop": {**SHOP, **changes}}


def fields(number: int) -> dict[str, str]:
    """Return the fields of the form of a request that ``responses`` has answered."""
    return dict(parse_qsl(str(responses.calls[number].request.body)))
