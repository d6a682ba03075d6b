"""FastAPIBackend: what is sent, and what is read of the answers, fastapi-users' as well."""

from __future__ import annotations

import pytest

from jwt_upstream.backends import FastAPIBackend, Verdict
from jwt_upstream.tokens import TokenPair
from tests.support.exchanges import API, PERSON, exchange, fields, form, replay, tokens

BACKEND = FastAPIBackend("shop", API)


def test_login() -> None:
    """A form, as OAuth2PasswordRequestForm wants it; one token, for whose successor a login is due."""
    request, outcome = replay(BACKEND, f"{API}token", "fastapi-tutorial-own-login-ok", PERSON)
    assert form(request) == {"grant_type": "password", "username": "bob", "password": "p w&"}
    assert outcome.pair
    assert (bool(outcome.pair.access_expires_at), BACKEND.can_refresh(outcome.pair)) == (True, False)


def test_refresh_of_an_application() -> None:
    """An application's own refresh is asked in JSON."""
    request, outcome = exchange(
        FastAPIBackend("shop", API, refresh_path="token/refresh"),
        "refresh",
        {"access_token": "a2", "refresh_token": "r2"},
    )
    assert (request.url, fields(request)) == (f"{API}token/refresh", {"refresh_token": "r1"})
    assert tokens(outcome) == ("a2", "r2")
    assert BACKEND.can_refresh(TokenPair("a1", "r1"))


@pytest.mark.parametrize(
    ("status", "said", "verdict"),
    [
        (401, "Incorrect username or password", Verdict.REJECTED),
        (400, "Incorrect username or password", Verdict.REJECTED),
        (400, "LOGIN_BAD_CREDENTIALS", Verdict.REJECTED),
        (400, "LOGIN_USER_NOT_VERIFIED", Verdict.LOCKED),
        (400, "Inactive user", Verdict.LOCKED),
        (422, [{"type": "missing", "loc": ["body", "username"], "msg": "Field required"}], Verdict.CONFIG),
    ],
)
def test_refusals(status: int, said: object, verdict: Verdict) -> None:
    """A refused login may be a bad request."""
    _, outcome = exchange(BACKEND, "login", {"detail": said}, status)
    assert outcome.verdict is verdict
