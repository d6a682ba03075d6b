"""SimpleJWTBackend: what is sent, and what is read of the answers, dj-rest-auth's as well."""

from __future__ import annotations

from datetime import UTC, datetime

from jwt_upstream.backends import SimpleJWTBackend, Verdict
from tests.support.exchanges import API, PERSON, exchange, fields, minutes, replay, tokens

BACKEND = SimpleJWTBackend("shop", API)


def test_login() -> None:
    """JSON, and no token goes along."""
    request, outcome = replay(BACKEND, f"{API}token/", "simplejwt-login-ok", PERSON)
    assert fields(request) == {"username": "bob", "password": "p w&"}
    assert "Authorization" not in request.headers
    assert outcome.pair
    assert (minutes(outcome.pair.access_expires_at), minutes(outcome.pair.refresh_expires_at)) == (60, 30 * 24 * 60)


def test_refresh() -> None:
    """Without rotation an answer has no refresh token: the old one stays."""
    request, outcome = replay(BACKEND, f"{API}token/refresh/", "simplejwt-own-refresh-ok")
    assert fields(request) == {"refresh": "r1"}
    assert (outcome.verdict, tokens(outcome)[1]) == (Verdict.OK, "")


def test_sliding_tokens() -> None:
    """Options are enough for a sliding token, which serves as access and as refresh token."""
    options = {"access_paths": ["token"], "refresh_paths": [], "refresh_fields": {"token": "{access}"}}
    request, outcome = exchange(SimpleJWTBackend("shop", API, **options), "refresh", {"token": "a2"})
    assert (fields(request), tokens(outcome)) == ({"token": "a1"}, ("a2", ""))


def test_expirations_of_dj_rest_auth() -> None:
    """Both expiries are taken from where dj-rest-auth states them."""
    _, outcome = replay(
        SimpleJWTBackend("shop", API, login_path="auth/login/"),
        f"{API}auth/login/",
        "dj-rest-auth-own-login-ok-expiration",
        PERSON,
    )
    assert outcome.pair
    assert outcome.pair.access_expires_at == datetime(2026, 11, 23, 10, tzinfo=UTC)
    assert outcome.pair.refresh_expires_at == datetime(2026, 11, 24, 9, tzinfo=UTC)


def test_refresh_cookie_of_dj_rest_auth() -> None:
    """A refresh token that is for a cookie only is found there by an option."""
    backend = SimpleJWTBackend("shop", API, refresh_paths=["refresh", "cookie:app-refresh"])
    _, outcome = exchange(
        backend, "login", {"access": "a2", "refresh": ""}, headers={"Set-Cookie": "app-refresh=r2; HttpOnly"}
    )
    assert tokens(outcome) == ("a2", "r2")


def test_disabled_user() -> None:
    """A refresh for a disabled user locks; the token stays good for when the user is back."""
    _, outcome = replay(BACKEND, f"{API}token/refresh/", "simplejwt-refresh-inactive")
    assert outcome.verdict is Verdict.LOCKED
