"""LexikBackend: what is sent, and what is read of the answers."""

from __future__ import annotations

import pytest

from jwt_upstream.backends import LexikBackend, Verdict
from tests.support.exchanges import API, exchange, fields, tokens

BACKEND = LexikBackend("crm", API)


def test_login() -> None:
    """JSON, and no token, since Lexik answers 401 to a login with a stale one."""
    request, outcome = exchange(BACKEND, "login", {"token": "a2", "refresh_token": "r2"})
    assert (request.url, fields(request)) == (f"{API}login_check", {"username": "bob", "password": "p w&"})
    assert "Authorization" not in request.headers
    assert tokens(outcome) == ("a2", "r2")


def test_refresh_by_cookies() -> None:
    """Both tokens are found in cookies, of a 204 without a body."""
    cookies = {"Set-Cookie": "BEARER=a2; path=/; httponly"}
    request, outcome = exchange(BACKEND, "refresh", None, 204, cookies)
    assert (request.url, fields(request)) == (f"{API}token/refresh", {"refresh_token": "r1"})
    assert tokens(outcome) == ("a2", "")


@pytest.mark.parametrize(
    ("where", "said", "verdict"),
    [
        ("refresh", "JWT Refresh Token Not Found", Verdict.REJECTED),
        ("refresh", "Invalid JWT Refresh Token", Verdict.REJECTED),
        ("refresh", "Invalid credentials.", Verdict.LOCKED),
        ("login", "Invalid credentials.", Verdict.REJECTED),
        ("login", "Account is locked.", Verdict.LOCKED),
        ("login", "Too many failed login attempts, please try again in 1 minute.", Verdict.TRANSIENT),
        ("login", "Authentication credentials could not be found.", Verdict.CONFIG),
        ("refresh", "Missing JWT Refresh Token", Verdict.CONFIG),
        ("refresh", "Expired JWT Token", Verdict.CONFIG),
    ],
)
def test_refusals(where: str, said: str, verdict: Verdict) -> None:
    """One status means many things, which Symfony's texts tell apart."""
    _, outcome = exchange(BACKEND, where, {"code": 401, "message": said}, 401)
    assert (outcome.verdict, outcome.reason) == (verdict, f"HTTP 401: {said}")
