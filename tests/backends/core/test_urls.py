"""Origins: the scheme, host and port that a token may be sent to."""

from __future__ import annotations

from jwt_upstream.backends import Backend

URL = "https://up.example.com/api"


def test_origin() -> None:
    """Tokens may go to the scheme, host and port of the address."""
    backend = Backend("up", URL)
    assert (backend.base_url, str(backend.origin)) == (f"{URL}/", "https://up.example.com:443")
