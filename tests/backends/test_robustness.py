"""Whatever a server sends: a verdict, a pair or a ValueError, and an answer that can still be read."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from requests import Response

from jwt_upstream.backends import Backend, LexikBackend, OAuth2Backend, Outcome, SimpleJWTBackend, Verdict
from jwt_upstream.backends.core.bodies import body, drain
from jwt_upstream.tokens import TokenPair
from tests.support.raw_server import RawServer, say
from tests.support.upstream import Answer, Upstream

BACKENDS = [Backend, LexikBackend, SimpleJWTBackend, OAuth2Backend]
VALUES: list[Any] = [
    None,
    True,
    5,
    -1,
    1e300,
    math.nan,
    math.inf,
    "",
    " ",
    "9999-12-31T23:59:59-12:00",
    [],
    {},
    [[]],
    {"a": {}},
]
KEYS = [
    *("access_token", "refresh_token", "access", "refresh", "token", "expires_in", "expires_at"),
    *("refresh_expires_in", "refresh_token_expiration", "error", "error_description", "message", "detail", "code"),
]
GIVES_UP = {Verdict.REJECTED, Verdict.LOCKED}


def answer(status: int, content: bytes, **headers: str) -> Response:
    response = Response()
    response.status_code = status
    response._content = content
    response.headers.update(headers)
    return response


def judge(backend: Backend, response: Response) -> set[Verdict]:
    """Have everything said of an answer that there is to say; anything but a ValueError fails the test."""
    verdicts = {backend.verdict(where, response) for where in ("api", "login", "refresh")}
    assert len(backend.reason(response)) < 250
    try:
        pair = backend.token_pair("refresh", response)
    except ValueError:
        return verdicts
    assert pair.access
    return verdicts


@pytest.mark.parametrize("kind", BACKENDS)
@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_wrong_type_at_every_path(kind: type[Backend], value: Any) -> None:
    """A value of a wrong type costs nothing, wherever it stands."""
    backend = kind("up", "https://up.example.com/")
    good = {"access_token": "a", "access": "a", "token": "a"}
    for key in KEYS:
        for content in ({key: value}, {**good, key: value}):
            judge(backend, answer(200, json.dumps(content).encode()))
            assert not judge(backend, answer(500, json.dumps(content).encode())) & GIVES_UP


@pytest.mark.parametrize("kind", BACKENDS)
@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe\x00",
        b"\xef\xbb\xbf{}",
        b"[" * 60_000,
        b'{"a":' * 10_000,
        b'{"token": ' + b"9" * 5000 + b"}",
        b'{"message": "\\ud800"}',
        b'{"token": "\\ud800", "access": "\\u0000", "access_token": "a b"}',
        b"x" * 3_000_000,
        b"\x00" * 70_000,
    ],
    ids=lambda content: repr(content[:12]),
)
def test_nasty_body(kind: type[Backend], content: bytes) -> None:
    """No body, however nasty, raises, takes long, or gives a credential up on a success or a failing server."""
    backend, started = kind("up", "https://up.example.com/"), time.monotonic()
    for status in (200, 204, 302, 404, 500, 599):
        assert not judge(backend, answer(status, content)) & GIVES_UP
    judge(backend, answer(401, content))
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("status", [200, 301, 401, 429])
@pytest.mark.parametrize("name", ["WWW-Authenticate", "Retry-After", "Content-Type", "Set-Cookie", "Location"])
@pytest.mark.parametrize("value", [b"\xff\xfe\x80", b"", b"=;,", b"Basic " * 1000, b"http://[::1", b"9" * 400])
def test_strange_header(status: int, name: str, value: bytes) -> None:
    """A header that is no text, no date or no URL raises nothing and gives nothing up."""
    lines = [b"HTTP/1.1 %d Eh" % status, name.encode() + b": " + value, b"Content-Length: 2", b"", b"xx"]
    with RawServer(say(b"\r\n".join(lines))) as server:
        outcome = LexikBackend("up", server.url, deadline=2).refresh(TokenPair("a", "r"))
    assert outcome.verdict not in GIVES_UP
    assert outcome.retry_after is None or 0 <= outcome.retry_after <= 3600


@pytest.mark.parametrize(
    "value",
    ["-5", "1.5", "", "²", "Mon, 01 Jan 99999 00:00:00 GMT", f"Mon, 01 Jan 2024 00:00:00 +{'9' * 30}", "9" * 5000],
)
def test_strange_retry_after(value: str) -> None:
    """A Retry-After that can't be meant is none, or the longest that is waited."""
    with Upstream() as server:
        server.answers["/refresh"] = Answer(429, {}, {"Retry-After": value.encode().decode("latin-1")})
        assert refreshed(server).retry_after in {None, 3600.0}


def refreshed(server: Upstream, **options: Any) -> Outcome:
    return Backend("up", server.url, **options).refresh(TokenPair("access-0", "refresh-0"))


@pytest.mark.parametrize("headers", [{"X-Key": "€"}, {"X-Key": "a\nb"}, {" X": "a"}])
def test_header_of_ours_that_can_not_be_sent(headers: dict[str, str]) -> None:
    """A header of the settings which HTTP can't carry is a mistake of the settings; nothing is sent nor shown."""
    with Upstream() as server:
        outcome = refreshed(server, headers=headers)
        assert (outcome.verdict, outcome.is_ambiguous, server.seen) == (Verdict.CONFIG, False, [])
    assert outcome.reason.isalpha()


def test_scheme_that_comes_with_the_token() -> None:
    """A token that is given as a whole header value is taken without its scheme."""
    backend = Backend("up", "https://up.example.com/", access_paths=["header:Authorization", "token"])
    assert backend.token_pair("login", answer(200, b"", Authorization="Bearer abc")).access == "abc"
    assert backend.token_pair("login", answer(200, b'{"token": " bearer  abc"}')).access == "abc"
    with pytest.raises(ValueError, match="holds no access token"):
        backend.token_pair("login", answer(200, b"", Authorization="Bearer "))


def test_large_answer_of_a_token_endpoint() -> None:
    """An answer which holds all of a user's rights beside the tokens is read to its end."""
    with Upstream() as server:
        server.answers["/refresh"] = Answer(200, {"rights": ["x" * 100] * 5000, "access": "a", "refresh": "r"})
        assert refreshed(server).pair == TokenPair("a", "r")


def test_wall_of_a_proxy_that_speaks_json() -> None:
    """A challenge for Basic only comes from a proxy's wall, in JSON too, and says nothing of the token."""
    with Upstream() as server:
        server.answers["/refresh"] = Answer(401, {"error": "Unauthorized"}, {"WWW-Authenticate": 'Basic realm="x"'})
        assert refreshed(server).verdict is Verdict.CONFIG


def test_wrong_password_please_try_again() -> None:
    """A phrase of politeness is no rate limit."""
    backend = Backend("up", "https://up.example.com/")
    assert backend.verdict("login", answer(401, b'{"message": "Wrong password, try again."}')) is Verdict.REJECTED
    assert backend.verdict("login", answer(401, b'{"message": "Try again later."}')) is Verdict.TRANSIENT


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


@pytest.mark.parametrize("read", [body, drain])
def test_connection_of_an_examined_answer(
    session: requests.Session, read: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The connection of an answer that was examined to its end serves the next request."""
    caplog.set_level(logging.DEBUG, "urllib3")
    with Upstream() as server:
        server.answers["/no"] = Answer(401, {"message": "no"})
        for _ in range(3):
            read(session.get(f"{server.url}no", stream=True, timeout=5))
        assert (len(server.seen), caplog.text.count("Starting new HTTP connection")) == (3, 1)


def test_answer_that_somebody_has_read(session: requests.Session) -> None:
    """A stream that was consumed before it is judged is judged by its status."""
    with Upstream() as server:
        server.answers["/no"] = Answer(401, {"message": "Account is disabled."})
        response = session.get(f"{server.url}no", stream=True, timeout=5)
        assert len(b"".join(response.iter_content(1000))) > 10
        assert Backend("up", server.url).verdict("api", response) is Verdict.EXPIRED


def test_answer_that_breaks_off() -> None:
    """An answer that breaks off is judged by what came, and fails when its reader gets there."""
    head = b"HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\n"
    piece = b"%x\r\n%s\r\n" % (40_000, b"x" * 40_000)
    with (
        RawServer(say(head, piece, piece, b"zz")) as server,
        requests.get(server.url, stream=True, timeout=5) as response,
    ):
        assert Backend("up", server.url).verdict("api", response) is Verdict.EXPIRED
        pieces = response.iter_content(30_000)
        assert next(pieces) == b"x" * 30_000
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            list(pieces)


def test_answer_with_broken_compression() -> None:
    """What can't be unpacked is judged by its status."""
    head = b"HTTP/1.1 401 No\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\nnot gzip!"
    with RawServer(say(head)) as server, requests.get(server.url, stream=True, timeout=5) as response:
        assert Backend("up", server.url).verdict("api", response) is Verdict.EXPIRED
        drain(response)
        assert response.content == b""
