"""What ``upstream_request`` sends and shows: headers and bodies out of its arguments, and answers."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator, Sequence
from typing import BinaryIO

from django.core.management.base import CommandError
from django.utils.translation import gettext as _
from requests import Response

from jwt_upstream.backends import get_backend
from jwt_upstream.backends.core import masked
from jwt_upstream.exceptions import UpstreamError
from jwt_upstream.fields import DecryptionError
from jwt_upstream.refresh import find

_FORM = "application/x-www-form-urlencoded"
_CHUNK_BYTES = 64 * 1024
#: Response headers whose values are secrets, a new token or a session, and those that never hold one.
_SECRET_HEADERS = {"authorization", "set-cookie"}
_HARMLESS_HEADERS = {
    "allow",
    "cache-control",
    "content-disposition",
    "content-length",
    "content-type",
    "date",
    "etag",
    "last-modified",
    "retry-after",
    "server",
    "vary",
}


def headers(written: Sequence[str], *, has_body: bool, is_json: bool) -> dict[str, str]:
    """Return the headers that ``--header`` names, each ``Name: value`` or ``@FILE`` with one in each line."""
    lines = [line for text in written for line in _lines(text)]
    found = dict(_header(line) for line in lines if line.strip())
    if has_body and not any(name.lower() == "content-type" for name in found):
        found["Content-Type"] = "application/json" if is_json else _FORM
    return found


def _lines(text: str) -> list[str]:
    if not text.startswith("@"):
        return [text]
    return content("--header", text).decode("latin-1").splitlines()


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name.strip():
        raise CommandError(_("--header must be 'Name: value' or @FILE with one such line for each."))
    return name.strip(), value.strip()


def content(option: str, text: str) -> bytes:
    """Return the bytes that an option gives: its text, those of ``@FILE``, or standard input for ``-`` and ``@-``."""
    if text in {"-", "@-"}:
        return sys.stdin.buffer.read()
    if not text.startswith("@"):
        return text.encode()
    try:
        with open(text[1:], "rb") as file:
            return file.read()
    except OSError as error:
        raise CommandError(f"{option}: {text[1:]}: {error.strerror}.") from None


def check_json(body: bytes) -> None:
    """Raise CommandError, which shows nothing of it, for a body that isn't JSON."""
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        raise CommandError(_("--json-body: the data is not JSON; nothing was sent.")) from None


def stored_tokens(alias: str, account: str) -> list[str]:
    """Return the tokens of a credential, which no answer may show; none if there are none, or no key decrypts them."""
    try:
        pair = find(alias, account).pair
    except (UpstreamError, DecryptionError):
        return []
    return [pair.access, pair.refresh]


def secrets(alias: str, account: str) -> list[str]:
    """Return what an upstream may echo of what calls are sent with: the tokens, and the secrets in settings."""
    return [*stored_tokens(alias, account), *get_backend(alias, account).own_secrets]


def head(response: Response, secrets: Collection[str]) -> Iterator[str]:
    """Yield the status line and the headers of an answer, without secrets and without what a terminal would obey."""
    yield printable(f"HTTP {response.status_code} {masked(response.reason or '', secrets)}".rstrip())
    for name, value in response.headers.items():
        yield printable(f"{name}: {_shown(name.lower(), value, secrets)}")


def _shown(name: str, value: str, secrets: Collection[str]) -> str:
    if name in _HARMLESS_HEADERS:
        return value
    return "[…]" if name in _SECRET_HEADERS else masked(value, secrets)


def printable(text: str) -> str:
    """Return a text with every character that a terminal would obey as an escape, tabs and line breaks excepted."""
    return "".join(char if char.isprintable() or char in "\n\t" else ascii(char)[1:-1] for char in text)


def copy_body(response: Response, out: BinaryIO) -> None:
    """Write the body of an answer as it comes, so that memory doesn't grow with it."""
    for chunk in response.iter_content(_CHUNK_BYTES):
        out.write(chunk)
    out.flush()


def body_for_terminal(response: Response) -> str:
    """Return the body as text that a terminal can be given."""
    response.encoding = response.encoding or "utf-8"
    return printable(response.text)
