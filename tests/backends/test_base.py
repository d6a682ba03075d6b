"""What a backend says of itself, and how it puts a token on a request."""

from __future__ import annotations

from typing import Any

import pytest

from jwt_upstream import backends
from jwt_upstream.backends import Verdict, get_backend
from jwt_upstream.testing import answer
from jwt_upstream.tokens import TokenPair

URL = "https://up.example.com/api"


@pytest.mark.parametrize("name", [name for name in backends.__all__ if name.endswith("Backend")])
def test_backends_without_options(name: str, settings: Any) -> None:
    """Every backend can read answers before anybody has said what it needs for asking."""
    settings.JWT_UPSTREAM = {"up": {"BACKEND": f"jwt_upstream.backends.{name}", "BASE_URL": URL}}
    backend = get_backend("up")
    assert backend.verdict("refresh", answer(503)) is Verdict.TRANSIENT
    if backend.missing():
        assert backend.refresh(TokenPair("a1", "r1")).verdict is Verdict.CONFIG
