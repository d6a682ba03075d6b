"""WordPressJWTBackend: what is sent, and what is read of the answers of two plugins."""

from __future__ import annotations

import pytest

from jwt_upstream.backends import Verdict, WordPressJWTBackend
from jwt_upstream.tokens import TokenPair
from tests.support.exchanges import API, PERSON, exchange, fields, replay, tokens

BACKEND = WordPressJWTBackend("blog", f"{API}wp-json/")
URL = f"{API}wp-json/jwt-auth/v1/token"


def test_login_without_refresh() -> None:
    """The one plugin gives a token of a week, and nothing to refresh it with."""
    request, outcome = replay(BACKEND, URL, "wp-login-ok", PERSON)
    assert fields(request) == {"username": "bob", "password": "p w&"}
    assert outcome.pair
    assert (outcome.pair.refresh, bool(outcome.pair.access_expires_at)) == ("", True)
    assert not BACKEND.can_refresh(TokenPair("a1"))


def test_login_with_refresh() -> None:
    """The other one gives a refresh token too, in a cookie."""
    _, outcome = replay(BACKEND, URL, "wp-jwt-auth-own-useful-login-ok", PERSON)
    assert tokens(outcome)[1] == "1.9f8e7d"


def test_refresh() -> None:
    """The cookie is sent back to the same path, without fields; it stays as it is."""
    request, outcome = replay(BACKEND, URL, "wp-jwt-auth-own-useful-refresh-ok", pair=TokenPair("a1", "1.9f8e7d"))
    assert (request.headers["Cookie"], request.body) == ("refresh_token=1.9f8e7d", None)
    assert (outcome.verdict, tokens(outcome)[1]) == (Verdict.OK, "")


@pytest.mark.parametrize(
    ("where", "code", "verdict"),
    [
        ("login", "[jwt_auth] incorrect_password", Verdict.REJECTED),
        ("login", "[jwt_auth] too_many_retries", Verdict.TRANSIENT),
        ("login", "[jwt_auth] empty_username", Verdict.CONFIG),
        ("login", "[jwt_auth] spammer_account", Verdict.LOCKED),
        ("login", "jwt_auth_bad_config", Verdict.CONFIG),
        ("refresh", "jwt_auth_expired_refresh_token", Verdict.REJECTED),
        ("refresh", "jwt_auth_no_auth_cookie", Verdict.CONFIG),
    ],
)
def test_refusals(where: str, code: str, verdict: Verdict) -> None:
    """Everything is a 403 or 401, told by the code."""
    _, outcome = exchange(BACKEND, where, {"code": code, "message": "…", "data": {"status": 403}}, 403)
    assert outcome.verdict is verdict
