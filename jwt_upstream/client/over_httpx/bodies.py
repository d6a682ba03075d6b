"""Bodies over httpx: those of requests, which may have to be sent again, and the beginnings of answers."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from jwt_upstream.backends.core import PEEK_BYTES, PEEK_SECONDS

from .modules import MODULES, both

_CONSTANT = tuple(module.ByteStream for module in MODULES)
_WAITING = tuple(module.SyncByteStream for module in MODULES)

if TYPE_CHECKING:

    class _Streams:
        """What httpx takes for a body."""
else:
    _Streams = both("SyncByteStream", "AsyncByteStream")


# -- of requests


def note_start(request: Any) -> Callable[[], None] | None:
    """Return what takes the body back to where it begins now, None if it can't be sent a second time."""
    stream = request.stream
    if isinstance(stream, _CONSTANT):
        return _nothing
    files = [file for file in map(_file, getattr(stream, "fields", ())) if file is not None]
    if hasattr(stream, "fields"):
        # Forms with files. httpx itself begins each file anew, and silently sends nothing of one that can't do that.
        return _nothing if all(map(_position, files)) else None
    # An awaited file, such as one of anyio, can be taken back on its event loop only.
    return _rewinding(getattr(stream, "_stream", None)) if isinstance(stream, _WAITING) else None


def length_of_body(request: Any) -> str | None:
    """Return how long the body is, None if that turns out as it is sent."""
    return str(sum(map(len, request.stream))) if isinstance(request.stream, _CONSTANT) else None


def _nothing() -> None:
    """Leave a body as it is that begins anew by itself."""


def _file(field: Any) -> Any:
    file = getattr(field, "file", None)
    return None if isinstance(file, str | bytes) else file


def _position(file: Any) -> tuple[int] | None:
    """Return where a file is, in a tuple, None if it can't be taken back there."""
    with suppress(AttributeError, TypeError, OSError, ValueError):
        place = file.tell()
        file.seek(place)
        return (place,)
    return None


def _rewinding(file: Any) -> Callable[[], None] | None:
    position = _position(file)
    return None if position is None else lambda: file.seek(*position)


# -- of answers


class Peeked(_Streams):
    """The body of an answer whose beginning was read, and which hands it out once more."""

    def __init__(self, start: list[bytes], rest: Any, stream: Any, error: Exception | None) -> None:
        self._start, self._rest, self._stream, self._error = start, rest, stream, error

    def __iter__(self) -> Iterator[bytes]:
        yield from self._start
        yield from self._rest
        self._raise()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._start:
            yield piece
        async for piece in self._rest:
            yield piece
        self._raise()

    def _raise(self) -> None:
        if self._error:  # what reading the beginning raised, once its reader gets to that point
            raise self._error

    def close(self) -> None:
        """Release the connection."""
        self._stream.close()

    async def aclose(self) -> None:
        """Release the connection."""
        await self._rest.aclose()
        await self._stream.aclose()


class _Peek:
    """Collects the beginning of a body, until it is enough."""

    def __init__(self) -> None:
        self.start: list[bytes] = []
        self._left = PEEK_BYTES
        self._ends_at = time.monotonic() + PEEK_SECONDS

    def add(self, piece: bytes) -> bool:
        """Add a piece; tell whether it is enough."""
        self.start.append(piece)
        self._left -= len(piece)
        return self._left < 0 or time.monotonic() >= self._ends_at

    def end(self, response: Any, rest: Any, error: Exception | None) -> bytes:
        response.stream = Peeked(self.start, rest, response.stream, error)
        return b"".join(self.start)


def peek(response: Any, errors: type[Exception]) -> bytes:
    """Return the beginning of a body as it was sent; whoever reads the answer still gets all of it."""
    found, rest, error = _Peek(), iter(response.stream), None
    try:
        if not any(map(found.add, rest)):
            response.stream.close()  # it was read to its end, and the connection is free for others
    except errors as raised:
        error = raised
    return found.end(response, rest, error)


async def apeek(response: Any, errors: type[Exception]) -> bytes:
    """Do as ``peek``."""
    found, rest, error = _Peek(), aiter(response.stream), None
    try:
        async for piece in rest:
            if found.add(piece):
                break
        else:
            await response.stream.aclose()
    except errors as raised:
        error = raised
    return found.end(response, rest, error)
