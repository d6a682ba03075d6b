"""Google: what is sent, and what is read of its answers."""

from __future__ import annotations

from jwt_upstream.backends import GoogleBackend
from tests.support.exchanges import CLIENT, exchange, form, minutes, tokens


def test_login() -> None:
    """With the code that a person's consent gave, for a pair whose refresh token stays."""
    backend = GoogleBackend("drive", "https://www.googleapis.com/", **CLIENT, redirect_uri="http://localhost/")
    assert backend.login_asks == ("code",)
    request, outcome = exchange(backend, "login", {"access_token": "a2", "expires_in": 3599, "refresh_token": "r2"})
    assert form(request) == {
        "grant_type": "authorization_code",
        "code": "4/0A",
        "redirect_uri": "http://localhost/",
        **CLIENT,
    }
    assert tokens(outcome) == ("a2", "r2")


def test_refresh() -> None:
    """To Google's own host for tokens; the answer has no refresh token, since the old one stays good."""
    answer = {"access_token": "a2", "expires_in": 3599, "scope": "x", "token_type": "Bearer"}
    request, outcome = exchange(GoogleBackend("drive", "https://www.googleapis.com/", **CLIENT), "refresh", answer)
    assert request.url == "https://oauth2.googleapis.com/token"
    assert form(request) == {"grant_type": "refresh_token", "refresh_token": "r1", **CLIENT}
    assert tokens(outcome) == ("a2", "")


def test_time_limited_consent() -> None:
    """A person may consent for a time only, which the answer states."""
    answer = {"access_token": "a2", "expires_in": 3599, "refresh_token": "r2", "refresh_token_expires_in": 604800}
    _, outcome = exchange(GoogleBackend("drive", "https://www.googleapis.com/", **CLIENT), "refresh", answer)
    assert outcome.pair is not None
    assert minutes(outcome.pair.refresh_expires_at) == 7 * 1440
