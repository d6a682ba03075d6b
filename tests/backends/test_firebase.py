"""FirebaseBackend: what is sent, and what is read of the answers."""

from __future__ import annotations

from jwt_upstream.backends import FirebaseBackend, Verdict
from tests.support.exchanges import OLD, fields, minutes, replay

LOGIN = "https://identitytoolkit.googleapis.com/v1/accounts:signInWithPassword"
REFRESH = "https://securetoken.googleapis.com/v1/token"
BACKEND = FirebaseBackend("fire", "https://api.example.com/", api_key="AIza1")


def test_login() -> None:
    """JSON to the one host; the lifetime is digits in a string."""
    request, outcome = replay(BACKEND, LOGIN, "firebase-login-ok", {"username": "b@x.org", "password": "p"})
    assert request.url == LOGIN
    assert fields(request) == {"email": "b@x.org", "password": "p", "returnSecureToken": True}
    assert outcome.pair
    assert (outcome.pair.refresh, minutes(outcome.pair.access_expires_at)) == ("AEu4IL2", 60)


def test_refresh() -> None:
    """A form to the other host, whose fields have other names; the ID token is the one for calls."""
    request, outcome = replay(BACKEND, REFRESH, "firebase-refresh-ok")
    assert (request.url, request.headers["Content-Type"]) == (REFRESH, "application/x-www-form-urlencoded")
    assert fields(request) == {"grant_type": "refresh_token", "refresh_token": "r1"}
    assert outcome.pair
    assert (outcome.pair.refresh, minutes(outcome.pair.access_expires_at)) == ("AEu4IL3", 60)


def test_reason() -> None:
    """Why a login is refused is shown in Firebase's words, without the key."""
    _, outcome = replay(BACKEND, LOGIN, "firebase-login-bad", {"username": "b@x.org", "password": "p"})
    assert (outcome.verdict, outcome.reason) == (Verdict.REJECTED, "HTTP 400: INVALID_LOGIN_CREDENTIALS")


def test_without_key() -> None:
    """Without a key nothing is sent, and it is said what is missing."""
    assert FirebaseBackend("fire", "https://api.example.com/").refresh(OLD).reason.endswith("has no api_key")
