"""StrapiBackend: what is sent, and what is read of the answers."""

from __future__ import annotations

import pytest

from jwt_upstream.backends import StrapiBackend, Verdict
from jwt_upstream.testing import answer
from tests.support.exchanges import fields, replay

BACKEND = StrapiBackend("cms", "https://cms.example.com/api/")
LOGIN = {"username": "bob", "password": "p"}


@pytest.mark.parametrize(
    ("case", "has_refresh"),
    [("strapi-login-ok", False), ("strapi-own-login-ok-refresh", True), ("strapi-own-login-ok-cookie", True)],
)
def test_login(case: str, has_refresh: bool) -> None:
    """One token of 30 days, or with ``jwtManagement`` two, the second in the body or a cookie."""
    request, outcome = replay(BACKEND, "https://cms.example.com/api/auth/local", case, LOGIN)
    assert fields(request) == {"identifier": "bob", "password": "p"}
    assert outcome.pair
    assert (bool(outcome.pair.refresh), bool(outcome.pair.access_expires_at)) == (has_refresh, True)


def test_refresh() -> None:
    """A refresh goes to a path of its own."""
    request, outcome = replay(BACKEND, "https://cms.example.com/api/auth/refresh", "strapi-own-refresh-ok")
    assert fields(request) == {"refreshToken": "r1"}
    assert (outcome.verdict, bool(outcome.pair and outcome.pair.refresh)) == (Verdict.OK, True)


def test_public_without_any_permission() -> None:
    """The 401 of a server that lets nobody refresh gives no token up."""
    error = {"status": 401, "name": "UnauthorizedError", "message": "Missing or invalid credentials", "details": {}}
    response = answer(401, body={"data": None, "error": error})
    assert (BACKEND.verdict("refresh", response), BACKEND.reason(response)) == (
        Verdict.CONFIG,
        "HTTP 401: Missing or invalid credentials",
    )
