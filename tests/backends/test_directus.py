"""DirectusBackend: what is sent, and what is read of the answers."""

from __future__ import annotations

import pytest

from jwt_upstream.backends import DirectusBackend, Verdict
from jwt_upstream.testing import answer
from tests.support.exchanges import fields, minutes, replay

BACKEND = DirectusBackend("cms", "https://cms.example.com/")


def test_login() -> None:
    """JSON with ``mode``, without which a refresh would answer by cookie; lifetimes are milliseconds."""
    request, outcome = replay(
        BACKEND, "https://cms.example.com/auth/login", "directus-login-ok", {"username": "b@x.org", "password": "p"}
    )
    assert fields(request) == {"email": "b@x.org", "password": "p", "mode": "json"}
    assert outcome.pair
    assert minutes(outcome.pair.access_expires_at) == 15


def test_refresh() -> None:
    """A refresh names the mode in which the tokens come back."""
    request, outcome = replay(BACKEND, "https://cms.example.com/auth/refresh", "directus-own-refresh-ok")
    assert fields(request) == {"refresh_token": "r1", "mode": "json"}
    assert outcome.pair
    assert outcome.pair.refresh.startswith("yuOJ")


@pytest.mark.parametrize(
    ("code", "status", "verdict"),
    [
        ("INVALID_IP", 401, Verdict.CONFIG),
        ("INVALID_PROVIDER", 403, Verdict.CONFIG),
        ("INVALID_PROVIDER_CONFIG", 503, Verdict.CONFIG),
        ("RESOURCE_RESTRICTED", 403, Verdict.CONFIG),
        ("LIMIT_EXCEEDED", 403, Verdict.TRANSIENT),
    ],
)
def test_refusal_which_is_not_the_tokens(code: str, status: int, verdict: Verdict) -> None:
    """A 401 or 403 about the address, the licence or single sign-on gives no token up."""
    response = answer(status, body={"errors": [{"message": "…", "extensions": {"code": code}}]})
    assert BACKEND.verdict("refresh", response) is verdict
