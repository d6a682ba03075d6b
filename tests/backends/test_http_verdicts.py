"""Each verdict of each backend over real HTTP: what is sent, and what comes of the answer."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qs

import pytest

from jwt_upstream.backends import Backend, LexikBackend, OAuth2Backend, SimpleJWTBackend, Verdict
from jwt_upstream.tokens import TokenPair
from tests.support.upstream import Answer, Upstream

CREDENTIALS = {"username": "bob", "password": "hunter2"}
CLIENT = {"client_id": "us", "client_secret": "s3cret/+ü"}


KINDS: dict[str, tuple[type[Backend], dict[str, Any]]] = {
    "lexik": (LexikBackend, {}),
    "simplejwt": (SimpleJWTBackend, {}),
    "oauth2": (OAuth2Backend, CLIENT),
}
ASKED = {
    "lexik": {"login": "/login_check", "refresh": "/token/refresh"},
    "simplejwt": {"login": "/token/", "refresh": "/token/refresh/"},
    "oauth2": {"login": "/token", "refresh": "/token"},
}
PAIRS = {
    "lexik": {"token": "a2", "refresh_token": "r2"},
    "simplejwt": {"access": "a2", "refresh": "r2"},
    "oauth2": {"access_token": "a2", "refresh_token": "r2", "token_type": "Bearer"},
}
ANSWERS: list[tuple[str, str, Answer, Verdict]] = [
    ("lexik", "login", Answer(401, {"code": 401, "message": "Invalid credentials."}), Verdict.REJECTED),
    ("lexik", "login", Answer(401, {"code": 401, "message": "Account is disabled."}), Verdict.LOCKED),
    (
        "lexik",
        "login",
        Answer(401, {"message": "Too many failed login attempts, …"}),
        Verdict.TRANSIENT,
    ),
    ("lexik", "refresh", Answer(401, {"code": 401, "message": "JWT Refresh Token Not Found"}), Verdict.REJECTED),
    ("lexik", "refresh", Answer(401, {"code": 401, "message": "Invalid credentials."}), Verdict.LOCKED),
    ("lexik", "refresh", Answer(401, {"code": 401, "message": "Account is locked."}), Verdict.LOCKED),
    ("lexik", "refresh", Answer(401, {"code": 401, "message": "Missing JWT Refresh Token"}), Verdict.CONFIG),
    ("lexik", "refresh", Answer(429, {"message": "Too many refresh requests"}), Verdict.TRANSIENT),
    (
        "simplejwt",
        "login",
        Answer(401, {"detail": "No active account found with the given credentials"}),
        Verdict.REJECTED,
    ),
    (
        "simplejwt",
        "refresh",
        Answer(401, {"detail": "Token is blacklisted", "code": "token_not_valid"}),
        Verdict.REJECTED,
    ),
    ("simplejwt", "refresh", Answer(401, {"detail": "No active account found for the given token."}), Verdict.LOCKED),
    ("simplejwt", "refresh", Answer(400, {"refresh": ["This field is required."]}), Verdict.CONFIG),
    ("simplejwt", "refresh", Answer(500, b"<h1>Server Error</h1>", {"Content-Type": "text/html"}), Verdict.TRANSIENT),
    ("oauth2", "login", Answer(400, {"error": "invalid_grant"}), Verdict.REJECTED),
    ("oauth2", "refresh", Answer(400, {"error": "invalid_grant"}), Verdict.REJECTED),
    ("oauth2", "refresh", Answer(401, {"message": "Account is disabled."}), Verdict.LOCKED),
    ("oauth2", "refresh", Answer(401, {"error": "invalid_client"}, {"WWW-Authenticate": "Basic"}), Verdict.CONFIG),
    ("oauth2", "refresh", Answer(400, {"error": "unsupported_grant_type"}), Verdict.CONFIG),
    ("oauth2", "refresh", Answer(400, {"error": "temporarily_unavailable"}), Verdict.TRANSIENT),
]
ANYWHERE: list[tuple[Answer, Verdict]] = [
    (Answer(401, b""), Verdict.REJECTED),
    (Answer(403, {"detail": "no"}), Verdict.REJECTED),
    (Answer(404, {"detail": "Not Found"}), Verdict.CONFIG),
    (Answer(405, {}), Verdict.CONFIG),
    (Answer(415, {}), Verdict.CONFIG),
    (Answer(418, {}), Verdict.CONFIG),
    (Answer(401, b"", {"WWW-Authenticate": 'Basic realm="wall"'}), Verdict.CONFIG),
    (Answer(401, b"<html>401</html>", {"Content-Type": "text/html"}), Verdict.TRANSIENT),
    (Answer(401, {"detail": "no"}, {"Retry-After": "5"}), Verdict.TRANSIENT),
    (Answer(403, {"detail": "Rate limit exceeded"}), Verdict.TRANSIENT),
    (Answer(408, {}), Verdict.TRANSIENT),
    (Answer(425, {}), Verdict.TRANSIENT),
    (Answer(429, {}), Verdict.TRANSIENT),
    (Answer(503, {}), Verdict.TRANSIENT),
    (Answer(200, b"<!doctype html><p>Back soon", {"Content-Type": "text/html"}), Verdict.TRANSIENT),
    (Answer(200, b""), Verdict.TRANSIENT),
    (Answer(200, {"access": None, "token": 7, "access_token": " "}), Verdict.TRANSIENT),
    (Answer(200, b'{"access": "trunc'), Verdict.TRANSIENT),
    (Answer(200, {"access": "with\nline", "token": "with\nline", "access_token": "with\nline"}), Verdict.TRANSIENT),
]


def ask(kind: str, where: str, server: Upstream, **options: Any) -> Any:
    cls, given = KINDS[kind]
    backend = cls("up", server.url, **{**given, **options})
    return backend.login(CREDENTIALS) if where == "login" else backend.refresh(TokenPair("a1", "r1"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("where", ["login", "refresh"])
def test_success(server: Upstream, kind: str, where: str) -> None:
    """The pair is found, and the request is the one that the server documents, without anything of the caller's."""
    server.answers[ASKED[kind][where]] = Answer(200, PAIRS[kind], {"Set-Cookie": "session=theirs"})
    outcome = ask(kind, where, server)
    assert (outcome.verdict, outcome.status_code, outcome.pair) == (Verdict.OK, 200, TokenPair("a2", "r2"))
    (seen,) = server.seen
    assert (seen.method, seen.headers["Accept"], seen.headers["Accept-Language"]) == ("POST", "application/json", "en")
    assert (seen.headers.get("Cookie"), "r1" in seen.path) == (None, False)


def test_what_is_sent(server: Upstream) -> None:
    """JSON to Lexik and simplejwt, without Authorization; a form to OAuth 2, with the client's."""
    for kind in KINDS:
        for where in ("login", "refresh"):
            server.answers[ASKED[kind][where]] = Answer(200, PAIRS[kind])
            ask(kind, where, server)
    lexik, simplejwt, oauth2 = server.seen[:2], server.seen[2:4], server.seen[4:]
    assert [json.loads(seen.body) for seen in lexik] == [CREDENTIALS, {"refresh_token": "r1"}]
    assert [json.loads(seen.body) for seen in simplejwt] == [CREDENTIALS, {"refresh": "r1"}]
    assert [seen.headers.get("Authorization") for seen in lexik + simplejwt] == [None] * 4
    assert [parse_qs(seen.body.decode()) for seen in oauth2] == [
        {"grant_type": ["password"], "username": ["bob"], "password": ["hunter2"]},
        {"grant_type": ["refresh_token"], "refresh_token": ["r1"]},
    ]
    basic = base64.b64encode(b"us:s3cret%2F%2B%C3%BC").decode()
    assert {seen.headers["Authorization"] for seen in oauth2} == {f"Basic {basic}"}


@pytest.mark.parametrize(("kind", "where", "answer", "verdict"), ANSWERS)
def test_verdict(server: Upstream, kind: str, where: str, answer: Answer, verdict: Verdict) -> None:
    """What each of the three servers says when it refuses is understood."""
    server.answers[ASKED[kind][where]] = answer
    assert ask(kind, where, server).verdict is verdict


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("answer", "verdict"), ANYWHERE)
def test_verdict_anywhere(server: Upstream, kind: str, answer: Answer, verdict: Verdict) -> None:
    """What may stand before or behind any server is no word on the token, unless it is one."""
    server.answers[ASKED[kind]["refresh"]] = answer
    assert ask(kind, "refresh", server).verdict is verdict
