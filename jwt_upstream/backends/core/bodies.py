"""Reads the bodies of answers: bounded, lenient, and in a way that a caller can still stream them."""

from __future__ import annotations

import io
import json
import re
import time
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl
from weakref import WeakKeyDictionary

from requests import RequestException, Response
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers
from urllib3 import HTTPResponse
from urllib3.exceptions import HTTPError

#: How much of a streamed body is examined; error messages are shorter.
PEEK_BYTES = 64 * 1024
#: How long a server may take to send that part; what has come by then is examined.
PEEK_SECONDS = 10.0
#: The largest answer accepted from a token endpoint; some add all of a user's permissions to the tokens.
MAX_BODY_BYTES = 1024 * 1024
#: More fields than an answer has that is a form, and more lists and objects than one has that is JSON, and one whose
#: JSON is damaged: the garbage collector makes them slow.
_MAX_FIELDS = 100
_MAX_CONTAINERS = 90_000
_MAX_SALVAGED = 10_000
_MAX_MEDIA_TYPE = 1000

_BLANKS = "\ufeff\x00 \t\r\n"
#: Python makes no integer of thousands of digits; as a float such a number costs no token that stands beside it.
_MAX_DIGITS = 400
_DECODER = json.JSONDecoder(
    strict=False, parse_int=lambda digits: int(digits) if len(digits) <= _MAX_DIGITS else float(digits)
)
_FORM = re.compile(r"\s*[\w.%+-]{1,99}=[^\s<>{}\"]*\s*")
_PAGE = re.compile(r"<!doctype|<(html|head|body|script|form)\b", re.IGNORECASE)
# What keeps scripts of other sites from reading an answer, or hands it to them (JSONP).
_PREFIX = r"\)\]\}'?,?|(while|for) ?\([1;]{1,3}\);|throw [^;\n]{1,40};|(/\*\*/ ?)?[\w.$]{1,60}\("
#: Where an object may begin: on a new line, behind a tag or behind a prefix.
_OBJECT = re.compile(rf"(^|>|\A({_PREFIX}))[ \t]*\{{(?=\s*\")", re.MULTILINE)
#: A token and nothing else, none of JSON's words and no status.
_WORD = re.compile(r"(?!(?:null|true|false|undefined|none|ok)$)(?:Bearer\s+)?[^\s<>{}\"]+", re.IGNORECASE)


def received(status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Response:
    """Return an answer that something else than requests has received, with its body, or the beginning of it."""
    response = Response()
    response.status_code = status
    response.headers.update(headers or {})
    response._content, response._content_consumed = body, True
    return response


def unpacked(headers: Mapping[str, str], body: bytes) -> bytes:
    """Return a body, or the beginning of one, without its Content-Encoding; as it is where that is not what it has."""
    # curl decompresses only with --compressed, and leaves the header as it was.
    packed = {name: text for name, text in headers.items() if name.lower() == "content-encoding"}
    try:
        return HTTPResponse(io.BytesIO(body), headers=packed, preload_content=False).read(MAX_BODY_BYTES, True)
    except HTTPError:
        return body


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


class _AsItComes:
    """A raw response which yields what has arrived, where urllib3 waits until it has as much as it was asked for."""

    def __init__(self, raw: HTTPResponse) -> None:
        self._raw = raw

    def stream(self, amt: int, decode_content: bool) -> Iterator[bytes]:
        """Yield the whole body in pieces of at most ``amt`` bytes."""
        while piece := self._raw.read1(amt, decode_content):
            yield piece


def body(response: Response) -> bytes:
    """Return the part of the body that is examined; the caller can still read all of it afterwards."""
    content = response._content
    if content is False:
        return _peek(response, PEEK_SECONDS)[:PEEK_BYTES]
    return (content or b"")[:MAX_BODY_BYTES]


def _peek(response: Response, seconds: float) -> bytes:
    if response.raw is None or response._content_consumed:
        return b""
    if isinstance(response.raw, _PushedBack):
        return response.raw.start
    raw, start, ends_at = response.raw, bytearray(), time.monotonic() + seconds
    if isinstance(raw, HTTPResponse):
        response.raw = _AsItComes(raw)
    rest = response.iter_content(PEEK_BYTES)
    try:
        start += next(rest)  # in any case: with its first piece the generator takes hold of what it reads from
        while len(start) <= PEEK_BYTES and time.monotonic() < ends_at:
            start += next(rest)
    except StopIteration:
        response._content = bytes(start)  # as ``Response.content`` does; the connection is back in its pool
        return response._content
    except RequestException as error:
        rest = _failing(error)
    finally:
        response.raw = raw
    # The generator is kept: it goes on where it stopped.
    response.raw = _PushedBack(bytes(start), rest, raw)
    return bytes(start)


def _failing(error: RequestException) -> Iterator[bytes]:
    """Raise what reading the body raised, once its reader gets to that point."""
    yield b""
    raise error


def drain(response: Response, seconds: float = 1.0) -> None:
    """Read what comes within some seconds, at most the part that is examined, and release the connection.

    The rest is discarded: of a refusal that was answered by another token, of a redirect that is followed.
    """
    content = _peek(response, seconds)[:PEEK_BYTES] if response._content is False else body(response)
    response.close()
    response._content, response._content_consumed = content, True


_documents: WeakKeyDictionary[Response, Any] = WeakKeyDictionary()
_salvaged: WeakKeyDictionary[Response, Any] = WeakKeyDictionary()
_values: WeakKeyDictionary[Response, dict[tuple[str, ...], list[Any]]] = WeakKeyDictionary()


def document(response: Response) -> Any:
    """Return the value of a JSON body or a form's fields as a dict, None for any other body."""
    # Parsed once: every rule and path asks for it, and an answer may be as large as a megabyte. Not passed on as a
    # value, since a project's own backend is given responses; nor kept on the response, which is the caller's.
    try:
        return _documents[response]
    except KeyError:
        return _documents.setdefault(response, _parsed(response))


def _salvage(response: Response) -> Any:
    try:
        return _salvaged[response]
    except KeyError:
        found = document(response)
        text = found if isinstance(found, str) else _text(response)
        return _salvaged.setdefault(response, salvaged(text))


def _parsed(response: Response) -> Any:
    for text in _texts(response):
        with suppress(ValueError, RecursionError):
            return _DECODER.decode(_parsable(text, _MAX_CONTAINERS).strip(_BLANKS))
    return form(_text(response)) if media_type(response) == "application/x-www-form-urlencoded" else None


def _text(response: Response) -> str:
    return next(_texts(response))


def _texts(response: Response) -> Iterator[str]:
    """Yield a body as a text by its own first bytes, by the charset in its header, and as Latin-1, which always works.

    The header is often wrong: of programs that write Latin-1 under "charset=UTF-8", and of those that never set it.
    """
    content = body(response)[: MAX_BODY_BYTES if is_success(response) else PEEK_BYTES].removeprefix(BOM_UTF8)
    seen, stated = json.detect_encoding(content), _stated_charset(response)
    others = [(name, "replace") for name in (stated, seen) if _is_charset(name)]
    tried = (_decoded(content, *each) for each in [(seen, "strict"), *others, ("latin-1", "strict")])
    texts = (text for text in tried if text is not None)
    # A large body is parsed once, however it is broken.
    yield from texts if len(content) <= PEEK_BYTES else islice(texts, 1)


def _stated_charset(response: Response) -> str:
    # The beginning, since its parameters take long to parse.
    header = response.headers.get("Content-Type", "")[:_MAX_MEDIA_TYPE]
    return get_encoding_from_headers(CaseInsensitiveDict({"Content-Type": header})) or ""


def _is_charset(name: str) -> bool:
    # No bytes are UTF-8 that were not when they were tried strictly. The others are for host names, and slow.
    return name.lower().replace("_", "-") not in {"", "utf-8", "utf8", "idna", "punycode"}


def _decoded(content: bytes, encoding: str, errors: str) -> str | None:
    try:
        return content.decode(encoding, errors)
    except (LookupError, ValueError):
        return None


def form(text: str) -> dict[str, str] | None:
    """Return the fields of a form, None if there are more than any answer has."""
    try:
        return dict(parse_qsl(text.strip()[:PEEK_BYTES], max_num_fields=_MAX_FIELDS))
    except ValueError:
        return None


def salvaged(text: str) -> Any:
    """Return what can be made of a text that is not JSON as a whole, or of JSON that was encoded twice; or None.

    That is a form that is called text, or JSON behind PHP's notices, behind a prefix against scripts, or in front of
    anything. JSON in a web page is part of the page.
    """
    if _FORM.fullmatch(text):
        return form(text)
    if _PAGE.search(text[:PEEK_BYTES]):
        return None
    for match in islice(_OBJECT.finditer(text[:PEEK_BYTES]), 5 if len(text) <= PEEK_BYTES else 1):
        with suppress(ValueError, RecursionError):
            return _DECODER.raw_decode(_parsable(text, _MAX_SALVAGED), match.end() - 1)[0]
    return None


def _parsable(text: str, most: int) -> str:
    if text.count("[") + text.count("{") > most:
        raise ValueError("too many lists and objects")
    return text


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


def values(response: Response, paths: tuple[str, ...]) -> list[Any]:
    """Return what ``lookup`` finds at several paths, without the paths at which there is nothing."""
    # Found once, like the document: dozens of rules ask for the same dozens of paths.
    kept = _values.setdefault(response, {})
    if paths in kept:
        return kept[paths]
    found = [value for path in paths if (value := lookup(response, path)) is not None]
    if not any(":" in path for path in paths):  # headers and cookies may be changed by the caller
        kept[paths] = found
    return found


def lookup_token(response: Response, path: str) -> Any:
    """Return what ``lookup`` returns, or what can be salvaged of a success; for ``.`` the whole text if it is a word.

    For tokens and their expiries only: a pair that isn't read is lost, but a refusal that isn't read refuses nothing.
    """
    value = lookup(response, path)
    if ":" in path or not is_success(response) or isinstance(document(response), dict | list):
        return value
    if path.strip("."):
        return _step_down(_salvage(response), path)
    word = _text(response).strip(_BLANKS)
    return word if not isinstance(value, str | bool) and _WORD.fullmatch(word) else value


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


def is_success(response: Response) -> bool:
    """Tell whether the status is a 2xx."""
    return 200 <= response.status_code < 300


def is_html(response: Response) -> bool:
    """Tell whether the body is a web page instead of an answer of an API."""
    return media_type(response) in {"text/html", "application/xhtml+xml"} or body(response).lstrip()[:1] == b"<"
