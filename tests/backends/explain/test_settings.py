"""A backend's settings as they were understood, without secrets."""

from __future__ import annotations

from typing import Any

import pytest

from jwt_upstream.backends import OAuth2Backend, SimpleJWTBackend
from jwt_upstream.backends.explain import shown_settings
from jwt_upstream.backends.secrets import Login

SECRETS = ("squid-Ink-77", "hunter2", "zebra-Crossing-5")


def test_addresses_are_whole() -> None:
    """Paths are shown as the addresses that are asked."""
    backend = SimpleJWTBackend("crm", "https://crm.example.com/api", test_path="me/")
    assert dict(shown_settings(backend)) == {
        "BACKEND": "SimpleJWTBackend",
        "BASE_URL": "https://crm.example.com/api/",
        "login URL": "https://crm.example.com/api/token/",
        "refresh URL": "https://crm.example.com/api/token/refresh/",
        "test URL": "https://crm.example.com/api/me/",
        "test_path": "me/",
    }


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({"client_secret": SECRETS[0]}, "[…]"),
        ({"api_headers": {"X-Shop": SECRETS[0], "Accept": "text/plain"}}, '{"X-Shop": "[…]", "Accept": "text/plain"}'),
        ({"proxies": {"https": f"http://bob:{SECRETS[1]}@proxy:3128"}}, '{"https": "http://[…]@proxy:3128"}'),
        ({"login_fields": {"pin": SECRETS[2], "user": "{username}"}}, '{"pin": "[…]", "user": "{username}"}'),
        ({"login_path": f"token?key={SECRETS[0]}&v=1"}, "token?key=[…]&v=1"),
        (
            {"login_steps": [{"path": "a?pin=4711", "headers": {"X": SECRETS[0]}}]},
            '[{"path": "a?pin=[…]", "headers": {"X": "[…]"}}]',
        ),
        ({"timeout": (3.05, 20)}, "[3.05, 20]"),
        ({"verify": False}, "false"),
        ({"scope": "read write"}, "read write"),
    ],
)
def test_options(options: dict[str, Any], shown: str) -> None:
    """The options that are set are shown, with secrets masked wherever they stand."""
    said = dict(shown_settings(OAuth2Backend("crm", "https://crm.example.com/", **options)))
    assert said[next(iter(options))] == shown
    assert not any(secret in str(said) for secret in SECRETS)


def test_automatic_login() -> None:
    """Of LOGIN the names are shown."""
    backend = SimpleJWTBackend("crm", "https://crm.example.com/api")
    backend.automatic_login = Login({"username": "bob", "password": "hunter2"})
    assert dict(shown_settings(backend))["LOGIN"] == "password, username"
