"""Saved answers: what ``curl -i`` prints, read as if it had been received just now."""

from __future__ import annotations

import gzip
import re

import pytest

from jwt_upstream.backends import Backend
from jwt_upstream.backends.explain.saved_answers import parsed
from jwt_upstream.tokens import TokenPair

JSON = "Content-Type: application/json"


TOKENS = '{"access": "a-token", "refresh": "r-token"}'


def as_bytes(content: bytes | str) -> bytes:
    return content if isinstance(content, bytes) else content.encode()


@pytest.mark.parametrize(
    "content",
    [
        f"HTTP/1.1 200 OK\n{JSON}\n\n{TOKENS}",
        f"HTTP/1.1 200 OK\r\n{JSON}\r\n\r\n{TOKENS}\r\n",
        f"HTTP/2 200 \r\n{JSON.lower()}\r\n\r\n{TOKENS}",
        f"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200\r\n{JSON}\r\n\r\n{TOKENS}",
        f"HTTP/1.0 200 Connection established\r\nVia: us\r\n\r\nHTTP/3 200\r\n{JSON}\r\n\r\n{TOKENS}",
        f"HTTP/1.1 307 Moved\r\nLocation: /x\r\n\r\nHTTP/1.1 200 OK\r\n{JSON};\r\n charset=utf-8\r\n\r\n{TOKENS}",
        f"HTTP/1.1 200 OK\r\n{JSON}\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n{TOKENS}",
        f"\ufeff\nHTTP/1.1 200 OK\n{JSON}\n\n{TOKENS}",
        f"HTTP/1.1 200 OK\r\n{JSON}\r\n\r\n{TOKENS}".encode("utf-16"),
        f"HTTP/1.1 200 OK\r\n{JSON}\r\nContent-Encoding: gzip\r\n\r\n".encode()
        + gzip.compress(TOKENS.encode(), mtime=0),
        f"HTTP/1.1 200 OK\r\n{JSON}\r\nContent-Encoding: gzip\r\n\r\n{TOKENS}",
        "HTTP/1.1 200 OK\nContent-Type: application/x-www-form-urlencoded\n\naccess=a-token&refresh=r-token",
    ],
)
def test_saved_answer(content: bytes | str) -> None:
    """What curl -i prints is understood, with any line ends, versions and preambles, packed or unpacked."""
    answer = parsed(as_bytes(content))
    assert (answer.status_code, answer.headers["Content-Type"].partition("/")[0]) == (200, "application")
    assert Backend("up", "https://up.example.com/").token_pair("login", answer) == TokenPair("a-token", "r-token")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("", "this is not an HTTP response: it must begin with a status line such as 'HTTP/1.1 401 Unauthorized' ("),
        (TOKENS, "this is not an HTTP response"),
        ("< HTTP/1.1 200 OK\n< A: b\n", "this is not an HTTP response"),
        ("HTTP/1.1 OK\n", "this is not an HTTP response"),
        (b"\xff\xfe\x00", "this is not an HTTP response"),
        (f"HTTP/1.1 200 OK\nA: b\n{TOKENS}", "the headers contain an invalid line; before it: A"),
        (f"HTTP/1.1 200 OK\n{TOKENS}\n", "the headers contain an invalid line; before it: none"),
        ("HTTP/1.1 200 OK\n" + "A: b\n" * 200, "the headers can't be read: HTTPException"),
    ],
)
def test_file_that_is_no_answer(content: bytes | str, line: str) -> None:
    """A file that is something else is a ValueError of one line, which shows nothing of it."""
    with pytest.raises(ValueError, match=f"^{re.escape(line)}") as caught:
        parsed(as_bytes(content))
    assert "-token" not in str(caught.value)
