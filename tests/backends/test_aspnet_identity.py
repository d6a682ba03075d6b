"""AspNetIdentityBackend: what is sent, and what is read of the answers."""

from __future__ import annotations

from typing import Any

import pytest

from jwt_upstream.backends import AspNetIdentityBackend, Verdict
from tests.support.exchanges import API, PERSON, exchange, fields, minutes, replay, tokens

BACKEND = AspNetIdentityBackend("shop", API)


def test_login() -> None:
    """An e-mail address and a password; an opaque token whose lifetime is stated."""
    request, outcome = replay(BACKEND, f"{API}login", "aspnet-login-ok", PERSON)
    assert fields(request) == {"email": "bob", "password": "p w&"}
    assert tokens(outcome) == ("CfDJ8K...", "CfDJ8N...")
    assert outcome.pair
    assert minutes(outcome.pair.access_expires_at) == 60


def test_second_factor() -> None:
    """A code goes along where the settings ask for one."""
    names = {"email": "{username}", "password": "{password}", "twoFactorCode": "{code}"}
    request, _ = exchange(AspNetIdentityBackend("shop", API, login_fields=names), "login", {"accessToken": "a2"})
    assert fields(request) == {"email": "bob", "password": "p w&", "twoFactorCode": "4/0A"}


def test_refresh() -> None:
    """The whole pair is new."""
    request, outcome = replay(BACKEND, f"{API}refresh", "aspnet-identity-api-own-refresh-ok")
    assert fields(request) == {"refreshToken": "r1"}
    assert tokens(outcome) == ("CfDJ8L...", "CfDJ8M...")


@pytest.mark.parametrize(
    ("where", "body", "verdict"),
    [
        ("login", {"status": 401, "title": "Unauthorized", "detail": "Failed"}, Verdict.REJECTED),
        ("login", {"status": 401, "title": "Unauthorized", "detail": "Lockedout"}, Verdict.LOCKED),
        ("login", {"status": 401, "title": "Unauthorized", "detail": "NotAllowed"}, Verdict.LOCKED),
    ],
)
def test_refusals(where: str, body: Any, verdict: Verdict) -> None:
    """What SignInResult says in one word."""
    _, outcome = exchange(BACKEND, where, body, 401)
    assert (outcome.verdict, outcome.reason) == (verdict, f"HTTP 401: {body['detail']}")


def test_refused_refresh() -> None:
    """A refused refresh says nothing at all."""
    _, outcome = replay(BACKEND, f"{API}refresh", "aspnet-identity-api-own-refresh-rejected")
    assert (outcome.verdict, outcome.reason) == (Verdict.REJECTED, "HTTP 401")
