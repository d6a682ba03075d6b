"""The beginnings of answers, which are read to be examined and handed out once more."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest

from jwt_upstream.backends.core import PEEK_BYTES
from jwt_upstream.client.over_httpx import bodies
from jwt_upstream.client.over_httpx.bodies import apeek, note_start, peek


class Stream(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """A body that comes in pieces; an exception among them is raised."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self._pieces, self.is_closed = pieces, False

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece

    def close(self) -> None:
        self.is_closed = True

    async def aclose(self) -> None:
        self.is_closed = True


def peeked(stream: Stream, how: str) -> tuple[bytes, bool, bytes | Exception]:
    """Peek; return what was found, whether the connection was free by then, and what the whole body is read as."""
    response = httpx2.Response(401, stream=stream)
    if how == "waiting":
        found, is_closed = peek(response, httpx2.HTTPError), stream.is_closed
        try:
            return found, is_closed, response.read()
        except httpx2.HTTPError as error:
            return found, is_closed, error

    async def look() -> tuple[bytes, bool, bytes | Exception]:
        found, is_closed = await apeek(response, httpx2.HTTPError), stream.is_closed
        try:
            return found, is_closed, await response.aread()
        except httpx2.HTTPError as error:
            return found, is_closed, error

    return asyncio.run(look())


@pytest.fixture(params=["waiting", "awaited"])
def how(request: Any) -> str:
    return str(request.param)


def test_position_of_a_file() -> None:
    """A file goes back to where it was, not to its beginning."""
    file = io.BytesIO(b"0123456789")
    file.seek(4)
    rewind = note_start(httpx2.Request("PUT", "http://api.x/", content=file))
    file.read()
    assert rewind is not None
    rewind()
    assert file.tell() == 4


def test_whole_body(how: str) -> None:
    """A short body is read to its end, which frees the connection, and can still be read."""
    assert peeked(Stream(b"one", b"two"), how) == (b"onetwo", True, b"onetwo")


def test_long_body(how: str) -> None:
    """Of a long body no more than the beginning is read."""
    stream = Stream(b"x" * PEEK_BYTES, b"y", b"z" * 10)
    found, is_closed, whole = peeked(stream, how)
    assert (len(found), is_closed, whole) == (PEEK_BYTES + 1, False, b"x" * PEEK_BYTES + b"yzzzzzzzzzz")
    assert stream.is_closed


def test_slow_body(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that takes its time is not waited for longer than is bearable."""
    monkeypatch.setattr(bodies, "PEEK_SECONDS", 0.0)
    assert peeked(Stream(b"a", b"b", b"c"), how) == (b"a", False, b"abc")


def test_body_that_breaks_off(how: str) -> None:
    """An error in the beginning is raised to whoever reads the answer, once he gets to that point."""
    error = httpx2.ReadError("gone")
    assert peeked(Stream(b"one", error), how) == (b"one", False, error)
