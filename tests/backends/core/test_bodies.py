"""Bodies: examined without being taken away from the caller, and read at paths."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from requests import Response

from jwt_upstream.backends import (
    Backend,
    Verdict,
)
from jwt_upstream.backends.core.bodies import body, drain
from jwt_upstream.testing import answer
from tests.support.raw_server import RawServer, say
from tests.support.upstream import Answer, Upstream

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


URL = "https://up.example.com/"


@pytest.mark.parametrize(
    ("paths", "response"),
    [
        (["data.0.token"], answer(200, body={"data": [{"token": "a1"}]})),
        (["missing", "data.9.token", "token"], answer(200, body={"data": [], "token": "a1"})),
        (["."], answer(200, body=b'"a1"')),
        (["header:X-Token"], answer(200, {"X-Token": "a1"})),
        (["cookie:BEARER"], answer(200, {"Set-Cookie": "x=1; Path=/, BEARER=a1; Secure"})),
    ],
)
def test_paths(paths: list[str], response: Response) -> None:
    """Tokens are found deep in the body, at its root, in a header and in a cookie."""
    assert Backend("up", URL, access_paths=paths).token_pair("login", response, NOW).access == "a1"


def test_cookie_of_a_jar() -> None:
    """A cookie is found where requests has put it."""
    response = answer(200)
    response.cookies.set("BEARER", "a1")
    backend = Backend("up", URL, access_paths=["cookie:BEARER"])
    assert backend.token_pair("login", response).access == "a1"
    with pytest.raises(ValueError, match="holds no access token"):
        Backend("up", URL, access_paths=["cookie:OTHER"]).token_pair("login", response)


@pytest.mark.parametrize("value", [b"\xff\xfe", b"[" * 100_000, b'{"a":' * 9000, b"", b"nul\x00", b"NaN", b"[[], {}]"])
@pytest.mark.parametrize("where", ["api", "login", "refresh"])
def test_garbage(value: bytes, where: Any) -> None:
    """Garbage gets a verdict that gives nothing up, and no pair."""
    backend = Backend("up", URL)
    for status in (200, 418, 500):
        assert backend.verdict(where, answer(status, body=value)) not in {Verdict.REJECTED, Verdict.LOCKED}
    with pytest.raises(ValueError, match="no access token"):
        backend.token_pair(where, answer(200, body=value))


def test_form_answer() -> None:
    """An answer may be a form (GitHub's is, unless asked for JSON)."""
    form = answer(
        200, {"Content-Type": "application/X-WWW-form-urlencoded"}, b"access_token=a1&refresh_token=r1&expires_in=60"
    )
    pair = Backend("up", URL).token_pair("refresh", form, NOW)
    assert (pair.access, pair.refresh) == ("a1", "r1")
    assert pair.access_expires_at == NOW + timedelta(seconds=60)


@pytest.fixture
def big() -> Any:
    with Upstream() as server:
        server.answers["/big"] = Answer(401, b"x" * 200_000)
        server.answers["/gzip"] = Answer(401, gzip.compress(b"x" * 200_000), {"Content-Encoding": "gzip"})
        yield server


READERS: dict[str, Callable[[Response], bytes]] = {
    "content": lambda response: response.content,
    "iter_content": lambda response: b"".join(response.iter_content(1000)),
    "iter_content of any size": lambda response: b"".join(response.iter_content(None)),
    "iter_lines": lambda response: b"".join(response.iter_lines()),
    "read": lambda response: b"".join(iter(lambda: response.raw.read(70_000), b"")),
    "read all": lambda response: response.raw.read(),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("path", ["big", "gzip"])
def test_examined_body_can_be_read(big: Upstream, path: str, reader: str) -> None:
    """What was examined is read by the caller as if nobody had."""
    with requests.get(f"{big.url}{path}", stream=True, timeout=5) as response:
        assert body(response) == body(response) == b"x" * 65536
        assert response.raw.status == 401
        assert READERS[reader](response) == b"x" * 200_000


def test_examined_chunked_body_can_be_read() -> None:
    """A chunked body that was examined is read by the caller as if nobody had."""
    chunk = b"%x\r\n%s\r\n" % (50_000, b"x" * 50_000)
    head = b"HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\n"
    with (
        RawServer(say(head, *[chunk] * 4, b"0\r\n\r\n")) as server,
        requests.get(server.url, stream=True, timeout=5) as r,
    ):
        assert body(r) == b"x" * 65536
        assert r.content == b"x" * 200_000


def test_body_that_breaks_off() -> None:
    """A body that breaks off fails when its reader gets there, not when it is examined."""
    head = b"HTTP/1.1 401 No\r\nContent-Length: 100\r\n\r\nstart"
    with RawServer(say(head)) as server, requests.get(server.url, stream=True, timeout=5) as response:
        assert body(response) == b""
        with pytest.raises(requests.RequestException):
            response.content  # noqa: B018
    assert body(Response()) == b""


def test_drained_body(big: Upstream) -> None:
    """A body that is drained gives its connection back, and what was examined of it stays."""
    with requests.Session() as session:
        response = session.get(f"{big.url}big", stream=True, timeout=5)
        drain(response)
        assert response.content == b"x" * 65536


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
