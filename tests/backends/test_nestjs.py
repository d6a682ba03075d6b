"""NestJSBackend: what is sent, and what is read of the answers."""

from __future__ import annotations

import pytest

from jwt_upstream.backends import NestJSBackend, Verdict
from tests.support.exchanges import API, PERSON, exchange, fields, replay, tokens

BACKEND = NestJSBackend("shop", API)


def test_login() -> None:
    """JSON; the token is found by its customary names."""
    request, outcome = replay(BACKEND, f"{API}auth/login", "nestjs-own-login-ok-camel", PERSON)
    assert fields(request) == {"username": "bob", "password": "p w&"}
    assert tokens(outcome)[1] == "r1"


def test_refresh() -> None:
    """The refresh token goes in the body; both are new."""
    request, outcome = exchange(BACKEND, "refresh", {"accessToken": "a2", "refreshToken": "r2"}, 201)
    assert (request.url, fields(request)) == (f"{API}auth/refresh", {"refreshToken": "r1"})
    assert tokens(outcome) == ("a2", "r2")


def test_refresh_as_bearer() -> None:
    """Where passport-jwt takes the refresh token from the header, two options send it there."""
    options = {"refresh_fields": {}, "refresh_headers": {"Authorization": "Bearer {refresh}"}}
    request, _ = exchange(NestJSBackend("shop", API, **options), "refresh", {"access_token": "a2"})
    assert (request.headers["Authorization"], request.body) == ("Bearer r1", None)


@pytest.mark.parametrize(
    ("status", "said", "verdict"),
    [
        (401, "Unauthorized", Verdict.REJECTED),
        (403, "Access Denied", Verdict.REJECTED),
        (403, "Forbidden resource", Verdict.CONFIG),
        (404, "Cannot POST /auth/refresh", Verdict.CONFIG),
        (429, "ThrottlerException: Too Many Requests", Verdict.TRANSIENT),
    ],
)
def test_refusals(status: int, said: str, verdict: Verdict) -> None:
    """A guard's answer is told from the refusal of a token."""
    _, outcome = exchange(BACKEND, "refresh", {"message": said, "statusCode": status}, status)
    assert outcome.verdict is verdict


def test_plain_text() -> None:
    """Passport without Nest refuses in one word, which is a refusal all the same."""
    _, outcome = replay(BACKEND, f"{API}auth/refresh", "nestjs-own-refresh-passport")
    assert outcome.verdict is Verdict.REJECTED
