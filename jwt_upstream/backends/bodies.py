"""Reading answers: bounded, lenient, and without taking from a caller what it asked to stream."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from requests import Response
from requests.cookies import RequestsCookieJar

#: How much of an answer is ever examined; error pages are smaller, and a token pair is much smaller.
LIMIT = 64 * 1024


class _PushedBack:
    """A raw response whose first bytes were read to be examined and are handed out again first."""

    def __init__(self, start: bytes, rest: Iterator[bytes], raw: Any) -> None:
        self.start, self._rest, self._raw = start, rest, raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def read(self, amt: int | None = None, **_: Any) -> bytes:
        """Read as a caller would that saw nothing of the examination."""
        while amt is None or len(self.start) < amt:
            chunk = next(self._rest, None)
            if chunk is None:
                break
            self.start += chunk
        taken, self.start = self.start[:amt], self.start[len(self.start) if amt is None else amt :]
        return taken

    def stream(self, amt: int = 2**16, **_: Any) -> Iterator[bytes]:
        """Yield all of the body in pieces."""
        while piece := self.read(amt):
            yield piece


def body(response: Response) -> bytes:
    """Return the body, or as much of it as is examined; the caller can still read all of it afterwards."""
    content = response._content
    if content is False:
        content = _peek(response)
    return (content or b"")[:LIMIT]


def _peek(response: Response) -> bytes:
    if response.raw is None:
        return b""
    if isinstance(response.raw, _PushedBack):
        return response.raw.start
    start, rest = b"", response.iter_content(LIMIT)
    for chunk in rest:
        start += chunk
        if len(start) > LIMIT:
            # The generator is kept: closing it in the middle of a chunked body makes urllib3 drop the connection.
            response.raw = _PushedBack(start, rest, response.raw)
            return start
    response._content = start  # as reading ``Response.content`` does; the connection is back in its pool
    return start


def drain(response: Response) -> None:
    """Read what is examined, drop the rest, and give the connection back."""
    content = body(response)
    response.close()
    response._content = content


def document(response: Response) -> Any:
    """Return the JSON body's value; None for anything that is not JSON."""
    try:
        return json.loads(body(response))
    except (ValueError, RecursionError):
        return None


def lookup(response: Response, path: str) -> Any:
    """Return what stands at a path of an answer, or None.

    ``a.b.0.c`` goes into the JSON body (``.`` is its root), ``header:Name`` and ``cookie:name`` look elsewhere.
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
    if isinstance(response.cookies, RequestsCookieJar):
        for cookie in response.cookies:
            if cookie.name == name:
                return cookie.value
    # Answers made by hand (saved ones, tests) have the header but no jar.
    match = re.search(rf"(?:^|,\s*){re.escape(name)}=([^;,\s]+)", response.headers.get("Set-Cookie", ""))
    return match[1] if match else None


def is_html(response: Response) -> bool:
    """Tell whether a page for humans came where an API's answer belongs."""
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return kind in {"text/html", "application/xhtml+xml"} or body(response).lstrip()[:1] == b"<"
