"""Templates: which placeholders are filled in, and where."""

from __future__ import annotations

from jwt_upstream.backends import Backend

URL = "https://up.example.com/"


def test_templates() -> None:
    """Fields may be nested; what is not asked for is sent as it stands."""
    fields = {"user": {"email": "{username}", "tags": ["{password}", 5]}, "mode": "json", "b": "{username} {x}"}
    backend = Backend("up", URL, login_fields=fields)
    assert backend.login_asks == ("username", "password")
    filled = backend.login_body({"username": "bob", "password": "p"})
    assert filled == {"user": {"email": "bob", "tags": ["p", 5]}, "mode": "json", "b": "{username} {x}"}
