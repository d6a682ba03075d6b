"""Reads the bodies of answers: bounded, lenient, and in a way that a caller can still stream them."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl
from weakref import WeakKeyDictionary

from requests import RequestException, Response

#: How much of a streamed body is examined; error messages are shorter.
PEEK_BYTES = 64 * 1024
#: The largest answer accepted from a token endpoint; some add all of a user's permissions to the tokens.
MAX_BODY_BYTES = 1024 * 1024


class _Chunks(io.RawIOBase):
    def __init__(self, start: bytes, rest: Iterator[bytes]) -> None:
        self._left, self._rest = start, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            try:
                self._left = next(self._rest)
            except StopIteration:
                return 0
        taken = self._left[: len(buffer)]
        self._left = self._left[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)


class _PushedBack:
    """A raw response whose first bytes were read for examination, and which returns them again to its reader."""

    def __init__(self, start: bytes, rest: Iterator[bytes], raw: Any) -> None:
        self.start, self._raw = start, raw
        self._reader = io.BufferedReader(_Chunks(start, rest), PEEK_BYTES)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def read(self, amt: int | None = None, **_: Any) -> bytes:
        """Read from the beginning, as if nothing had been examined."""
        return self._reader.read(-1 if amt is None else amt)

    def stream(self, amt: int | None = 2**16, **_: Any) -> Iterator[bytes]:
        """Yield the whole body in chunks."""
        while chunk := self.read(amt):
            yield chunk


def body(response: Response) -> bytes:
    """Return the part of the body that is examined; the caller can still read all of it afterwards."""
    content = response._content
    if content is False:
        return _peek(response)[:PEEK_BYTES]
    return (content or b"")[:MAX_BODY_BYTES]


def _peek(response: Response) -> bytes:
    if response.raw is None or response._content_consumed:
        return b""
    if isinstance(response.raw, _PushedBack):
        return response.raw.start
    start, rest = bytearray(), response.iter_content(PEEK_BYTES)
    try:
        while len(start) <= PEEK_BYTES:
            start += next(rest)
    except StopIteration:
        response._content = bytes(start)  # as ``Response.content`` does; the connection is back in its pool
        return response._content
    except RequestException as error:
        rest = _failing(error)
    # The generator is kept: closing it in the middle of a chunked body makes urllib3 drop the connection.
    response.raw = _PushedBack(bytes(start), rest, response.raw)
    return bytes(start)


def _failing(error: RequestException) -> Iterator[bytes]:
    """Raise what reading the body raised, once its reader gets to that point."""
    yield b""
    raise error


def drain(response: Response) -> None:
    """Read the part that is examined, discard the rest, and release the connection."""
    content = body(response)
    response.close()
    response._content, response._content_consumed = content, True


_documents: WeakKeyDictionary[Response, Any] = WeakKeyDictionary()


def document(response: Response) -> Any:
    """Return the value of a JSON body or a form's fields as a dict, None for any other body."""
    # Parsed once: every rule and path asks for it, and an answer may be as large as a megabyte. Not passed on as a
    # value, since a project's own backend is given responses; nor kept on the response, which is the caller's.
    try:
        return _documents[response]
    except KeyError:
        return _documents.setdefault(response, _parsed(response))


def _parsed(response: Response) -> Any:
    if media_type(response) == "application/x-www-form-urlencoded":
        return dict(parse_qsl(body(response).decode(errors="replace")))
    try:
        return json.loads(body(response))
    except (ValueError, RecursionError):
        return None


def media_type(response: Response) -> str:
    """Return the media type that the headers state, such as "application/json", in lower case without parameters."""
    return response.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def lookup(response: Response, path: str) -> Any:
    """Return the value at a path of an answer, or None.

    ``a.b.0.c`` is a path into the body, JSON or a form, and ``.`` its root; ``header:Name`` is the value of a header
    and ``cookie:name`` that of a cookie.
    """
    source, _, name = path.rpartition(":")
    if source == "header":
        return response.headers.get(name)
    if source == "cookie":
        return _cookie(response, name)
    return _step_down(document(response), path)


def _step_down(value: Any, path: str) -> Any:
    for step in filter(None, path.split(".")):
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def _cookie(response: Response, name: str) -> str | None:
    for cookie in response.cookies:
        if cookie.name == name:
            return cookie.value
    # Responses that requests didn't receive itself (saved ones, tests) have the header and an empty cookie jar.
    match = re.search(rf"(?:^|,\s*){re.escape(name)}=([^;,\s]+)", response.headers.get("Set-Cookie", ""))
    return match[1] if match else None


def is_html(response: Response) -> bool:
    """Tell whether the body is a web page instead of an answer of an API."""
    return media_type(response) in {"text/html", "application/xhtml+xml"} or body(response).lstrip()[:1] == b"<"
