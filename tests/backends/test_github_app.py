"""Installations of a GitHub App: the app's JWT is exchanged for a token of one of them."""

from __future__ import annotations

import time
from typing import Any

import pytest

from jwt_upstream.backends import GitHubAppBackend, Verdict
from jwt_upstream.testing import answer
from jwt_upstream.tokens import TokenPair
from tests.support.signatures import old_pem, public_pem, verify
from tests.support.upstream import Answer, Upstream

ROUTE = "/app/installations/4711/access_tokens"
ISSUED = {"token": "ghs_16C7e42F292c6912E7710c838347Ae178B4a", "expires_at": "2099-01-01T00:00:00Z"}


def backend(server: Upstream, **options: Any) -> GitHubAppBackend:
    """Return an installation at the server."""
    options = {"client_id": "Iv23li", "installation_id": "4711", "signing_key": old_pem(), **options}
    return GitHubAppBackend("hub", server.url, **options)


@pytest.mark.parametrize("method", ["login", "refresh"])
def test_exchange(server: Upstream, method: str) -> None:
    """A login and a refresh send the JWT in the header; the token is good until the time that GitHub states."""
    server.answers[ROUTE] = Answer(201, ISSUED)
    hub = backend(server, login_fields={"permissions": {"issues": "read"}, "repositories": ["shop"]})
    assert (list(hub.check()), list(hub.missing()), hub.is_unattended) == ([], [], True)
    outcome = hub.login({}) if method == "login" else hub.refresh(TokenPair("a", ""))
    assert outcome.verdict is Verdict.OK
    assert outcome.pair is not None
    assert outcome.pair.access == ISSUED["token"]
    assert outcome.pair.access_expires_at is not None
    assert outcome.pair.access_expires_at.year == 2099
    (seen,) = server.seen
    claims, now = verify(seen.token, public_pem()), time.time()
    assert claims.keys() == {"iss", "iat", "exp"}
    assert claims["iss"] == "Iv23li"
    assert now - 62 < claims["iat"] <= now - 59
    assert now + 290 < claims["exp"] < now + 600
    assert seen.json() == {"permissions": {"issues": "read"}, "repositories": ["shop"]}
    assert seen.headers["Accept"] == "application/vnd.github+json"


def test_whole_installation(server: Upstream) -> None:
    """Without a limit there is no body."""
    server.answers[ROUTE] = Answer(201, ISSUED)
    assert backend(server).login({}).verdict is Verdict.OK
    assert server.seen[0].body == b""


def test_logout(server: Upstream) -> None:
    """A logout revokes the installation's token with itself."""
    server.answers["/installation/token"] = Answer(204, b"")
    told = backend(server).revoke(TokenPair("ghs_1"))
    assert told is not None
    assert told.verdict is Verdict.OK
    assert (server.seen[0].method, server.seen[0].token) == ("DELETE", "ghs_1")


@pytest.mark.parametrize(
    ("status", "message", "verdict"),
    [
        (401, "A JSON web token could not be decoded", Verdict.CONFIG),
        (401, "'Expiration time' claim ('exp') is too far in the future", Verdict.CONFIG),
        (404, "Not Found", Verdict.CONFIG),
        (422, "The permissions requested are not granted to this installation.", Verdict.CONFIG),
        (403, "This installation has been suspended", Verdict.LOCKED),
        (403, "API rate limit exceeded for installation ID 4711.", Verdict.TRANSIENT),
        (403, "You have exceeded a secondary rate limit.", Verdict.TRANSIENT),
        (500, "Server Error", Verdict.TRANSIENT),
    ],
)
@pytest.mark.parametrize("where", ["login", "refresh"])
def test_refusals(server: Upstream, where: Any, status: int, message: str, verdict: Verdict) -> None:
    """A JWT or an installation that GitHub doesn't know is a matter of settings."""
    assert backend(server).verdict(where, answer(status, body={"message": message})) is verdict


@pytest.mark.parametrize(
    ("status", "message", "verdict"),
    [
        (401, "Bad credentials", Verdict.EXPIRED),
        (401, "A JSON web token could not be decoded", Verdict.PASS),
        (403, "Resource not accessible by integration", Verdict.PASS),
    ],
)
def test_calls(server: Upstream, status: int, message: str, verdict: Verdict) -> None:
    """A token that has ended is replaced; a route for the app itself is the caller's business."""
    assert backend(server).verdict("api", answer(status, body={"message": message})) is verdict
