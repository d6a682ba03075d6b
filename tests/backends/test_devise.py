"""DeviseBackend: what is sent, and what is read of the answers."""

from __future__ import annotations

import pytest

from jwt_upstream.backends import DeviseBackend, Verdict
from jwt_upstream.tokens import TokenPair
from tests.support.exchanges import API, PERSON, exchange, fields, replay

BACKEND = DeviseBackend("shop", API)


def test_login() -> None:
    """Fields below the model's name; the token is in a header of the answer, and the only one."""
    request, outcome = replay(BACKEND, f"{API}users/sign_in", "devise-login-ok", PERSON)
    assert fields(request) == {"user": {"email": "bob", "password": "p w&"}}
    assert outcome.pair
    assert (outcome.pair.access[:3], outcome.pair.refresh) == ("eyJ", "")
    assert outcome.pair.access_expires_at
    assert not BACKEND.can_refresh(TokenPair("a1"))


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("Invalid Email or password.", Verdict.REJECTED),
        ("You have one more attempt before your account is locked.", Verdict.REJECTED),
        ("Your account is locked.", Verdict.LOCKED),
        ("Your account is not activated yet.", Verdict.LOCKED),
        ("You have to confirm your email address before continuing.", Verdict.LOCKED),
        ("You need to sign in or sign up before continuing.", Verdict.CONFIG),
    ],
)
def test_refusals(said: str, verdict: Verdict) -> None:
    """Devise's own texts tell a refused password from a locked account and from fields of other names."""
    _, outcome = exchange(BACKEND, "login", {"error": said}, 401)
    assert outcome.verdict is verdict
