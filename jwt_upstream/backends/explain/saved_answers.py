"""Answers from a file or a test, as ``requests`` would have received them; sends nothing."""

from __future__ import annotations

import codecs
import re
from http.client import HTTPException, parse_headers
from io import BytesIO

from requests import Response

from jwt_upstream.backends.core import received, unpacked
from jwt_upstream.names import listed

_STATUS_LINE = re.compile(rb"HTTP/\d(?:\.\d)? (\d{3})(?: [^\r\n]*)?\r?\n")
_NAME = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)  # RFC 9110, section 5.1
_NOT_AN_ANSWER = (
    "this is not an HTTP response: it must begin with a status line such as 'HTTP/1.1 401 Unauthorized' (curl -i)"
)


def parsed(saved: bytes) -> Response:
    """Parse an answer as ``curl -i`` prints it: status line, headers, an empty line, the body; with LF or CRLF.

    Whatever precedes the last status line (``100 Continue``, a proxy's answer, redirects) is ignored. Raises
    ValueError for any other text, without showing it.
    """
    rest = _as_bytes(saved)
    if not _STATUS_LINE.match(rest):
        raise ValueError(_NOT_AN_ANSWER)
    while match := _STATUS_LINE.match(rest):
        status, stream = int(match[1]), BytesIO(rest[match.end() :])
        headers = _headers(stream)
        rest = stream.read()
    return received(status, headers, unpacked(headers, rest))


def _as_bytes(saved: bytes) -> bytes:
    # Windows PowerShell redirects output as UTF-16.
    if saved.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        saved = saved.decode("utf-16", errors="replace").encode()
    saved = saved.removeprefix(codecs.BOM_UTF8).lstrip()
    return saved if b"\n" in saved else saved + b"\n"


def _headers(stream: BytesIO) -> dict[str, str]:
    try:
        message = parse_headers(stream)
    except HTTPException as error:
        raise ValueError(f"the headers can't be read: {type(error).__name__}") from None
    good = [name for name in message if _NAME.fullmatch(name)]
    if message.defects or len(good) < len(message):
        raise ValueError(f"the headers contain an invalid line; before it: {listed(good)}")
    return {name: ", ".join(message.get_all(name, ())) for name in message}
