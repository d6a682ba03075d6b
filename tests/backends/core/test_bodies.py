"""Bodies: examined without being taken away from the caller, and read at paths."""

from __future__ import annotations

import gzip
import itertools
import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from encodings.aliases import aliases
from typing import Any

import pytest
import requests
from requests import Response
from requests.utils import get_encoding_from_headers

from jwt_upstream.backends import (
    Backend,
    Verdict,
)
from jwt_upstream.backends.core.bodies import body, drain, values
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


def test_values_at_several_paths() -> None:
    """What rules ask for again and again is looked up once, but not headers, which a project may change."""
    response = answer(401, {"X-Code": "c"}, {"code": "a", "detail": None, "error": {"message": "b"}})
    found = values(response, ("code", "detail", "error.message", "other"))
    assert found == ["a", "b"]
    assert values(response, ("code", "detail", "error.message", "other")) is found
    assert values(response, ("header:X-Code", "code")) == ["c", "a"]
    response.headers["X-Code"] = "d"
    assert values(response, ("header:X-Code", "code")) == ["d", "a"]


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
        assert body(response) == b"start"
        with pytest.raises(requests.RequestException):
            response.content  # noqa: B018
    assert body(Response()) == b""


def test_drained_body(big: Upstream) -> None:
    """A body that is drained gives its connection back, and what was examined of it stays."""
    with requests.Session() as session:
        response = session.get(f"{big.url}big", stream=True, timeout=5)
        drain(response)
        assert response.content == b"x" * 65536


def test_raw_response_of_a_double() -> None:
    """A raw response that is not urllib3's, as test doubles make them, is read by what it has."""

    class Double:
        def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
            yield from (b"x" * 50_000, b"x" * 50_000)

    response = Response()
    response.raw = Double()
    assert body(response) == b"x" * 65536
    assert response.content == b"x" * 100_000


def test_body_that_trickles() -> None:
    """Of a body that comes slower than anybody wants to wait for, what has come is kept."""
    head = b"HTTP/1.1 302 Found\r\nContent-Length: 1000\r\n\r\nstart"
    with RawServer(say(head, *[b"x"] * 40, pause=0.02)) as server, requests.get(server.url, stream=True) as response:
        drain(response, 0.1)
        assert response.content.startswith(b"start")
        assert len(response.content) < 45
    with RawServer(say(head)) as server, requests.get(server.url, stream=True) as response:
        drain(response, 0)
        assert response.content == b"start"


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


# -- token answers that are not the JSON that they should be

PAIR = {"access": "a1", "refresh": "r1", "user": {"name": "José Müller"}}
TEXT = json.dumps(PAIR, ensure_ascii=False)
FORM = b"access=a1&refresh=r1&expires_in=3600"
NOTICE = b"<br />\n<b>Deprecated</b>:  foo(): bar in <b>/x.php</b> on line <b>5</b><br />\n"
JSON = "application/json"

#: The bytes of an answer and its Content-Type.
UNUSUAL: dict[str, tuple[bytes, str]] = {
    "UTF-8": (TEXT.encode(), JSON),
    "UTF-8 with a BOM": (TEXT.encode("utf-8-sig"), JSON),
    "a BOM before Latin-1": (b"\xef\xbb\xbf" + TEXT.encode("latin-1"), JSON),
    "UTF-16": (TEXT.encode("utf-16"), f"{JSON}; charset=utf-16"),
    "UTF-16, not said": (TEXT.encode("utf-16-le"), JSON),
    "UTF-16, broken": (TEXT.encode("utf-16-be") + b"\x00", JSON),
    "UTF-32": (TEXT.encode("utf-32"), JSON),
    "Latin-1": (TEXT.encode("latin-1"), f"{JSON}; charset=ISO-8859-1"),
    "Windows-1252, not said": (TEXT.encode("cp1252"), JSON),
    "Latin-1 that is said to be UTF-8": (TEXT.encode("latin-1"), f"{JSON};charset=UTF-8"),
    "UTF-8 that is said to be UTF-16": (TEXT.encode(), f"{JSON};charset=utf-16"),
    "EBCDIC": (TEXT.encode("cp037"), f"{JSON}; charset=cp037"),
    "ISO-2022-JP": (
        '{"name": "表示", "access": "a1", "refresh": "r1"}'.encode("iso2022_jp"),
        f"{JSON}; charset=iso-2022-jp",
    ),
    "an unknown charset": (TEXT.encode(), f"{JSON}; charset=nonsense"),
    "a charset for host names": (TEXT.encode("latin-1"), f"{JSON}; charset=punycode"),
    "as a page": (TEXT.encode(), "text/html"),
    "as a form": (TEXT.encode(), "application/x-www-form-urlencoded"),
    "blank lines": (b"\r\n\r\n" + TEXT.encode() + b"\n\x00", JSON),
    "a line break in a name": (TEXT.replace(" ", "\n").encode(), JSON),
    "NaN": (b'{"access": "a1", "refresh": "r1", "expires_in": NaN}', JSON),
    "a number beyond Python's": (b'{"id": %s, "access": "a1", "refresh": "r1"}' % (b"9" * 5000), JSON),
    "a form": (FORM, "application/x-www-form-urlencoded"),
    "a form as text": (FORM + b"\n", "text/plain;charset=UTF-8"),
    "a form as a page": (FORM, "text/html"),
    "a form as JSON": (FORM, JSON),
    "a notice of PHP": (NOTICE + TEXT.encode(), JSON),
    "a notice in plain text": (b"\nWarning: foo in /x.php on line 3\n" + TEXT.encode(), "text/html"),
    "a notice with braces": (NOTICE.replace(b"foo", b'{$x}, {"y') + TEXT.encode(), JSON),
    "a notice afterwards": (TEXT.encode() + NOTICE, JSON),
    "a stray zero": (TEXT.encode() + b"0", JSON),
    "a prefix against scripts": (b")]}',\n" + TEXT.encode(), JSON),
    "a loop against scripts": (b"for(;;);" + TEXT.encode(), JSON),
    "JSONP": (b"/**/cb(" + TEXT.encode() + b");", "application/javascript"),
    "JSON in a JSON text": (json.dumps(TEXT).encode(), JSON),
    "large": (NOTICE + TEXT.replace("José", "é" * 50_000).encode(), JSON),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_token_answer(name: str) -> None:
    """A pair is read from whatever a program makes of JSON or a form; one that isn't read is a lost session."""
    content, media_type = UNUSUAL[name]
    response, backend = answer(200, {"Content-Type": media_type}, content), Backend("up", URL)
    assert backend.verdict("refresh", response) is Verdict.OK
    pair = backend.token_pair("refresh", response)
    assert (pair.access, pair.refresh) == ("a1", "r1")


def test_no_stricter_than_requests() -> None:
    """Whatever charset an answer is in and says, tokens are found where requests' own ``json()`` finds them."""
    charsets = sorted({*aliases.values()} - {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined"})
    for charset, said in itertools.product(charsets, ["", "utf-8", "iso-8859-1", "same"]):
        media_type = f"{JSON}; charset={charset if said == 'same' else said}" if said else JSON
        try:
            response = answer(200, {"Content-Type": media_type}, TEXT.encode(charset, "replace"))
            response.encoding = get_encoding_from_headers(response.headers)
            by_requests = response.json()["access"]
        except (LookupError, ValueError, TypeError):
            continue
        assert Backend("up", URL).token_pair("login", response).access == by_requests, (charset, said)


PAGES = [
    b'<!DOCTYPE html><script>var x =\n{"token": "csrf"}</script>',
    b'<html>\n{"token": "csrf"}',
    b'<form>\n<input value=\'{"token": "csrf"}\'></form>',
    b'See the example {"token": "x"}.',
    b"token is missing",
    b"token",
    b'{"token": "trunc',
    b'{"data": 1}\n{"token": 2',
    b"a=1&" * 101 + b"token=x",
    b'{"a": [' + b"[]," * 90_000 + b'[]], "token": "x"}',
    b"<br>\n" + b'{"a": [' + b"[]," * 90_000 + b'[]], "token": "x"}',
]


@pytest.mark.parametrize("content", PAGES, ids=lambda content: repr(content[:20]))
def test_no_token_of_a_page(content: bytes) -> None:
    """What stands in a page, a sentence, a broken answer or one that would take long to read is no token."""
    response = answer(200, {"Content-Type": "text/html"}, content)
    assert Backend("up", URL).verdict("refresh", response) is Verdict.TRANSIENT


@pytest.mark.parametrize("status", [400, 401, 403])
def test_damaged_refusal(status: int) -> None:
    """A refusal behind a notice refuses nothing: what PHP warns of may be the cause."""
    content = b'<b>Warning</b>: mysqli_connect(): Connection refused<br />\n{"error": "invalid_grant"}'
    for said in (status, 200):
        assert Backend("up", URL).verdict("refresh", answer(said, {"Content-Type": JSON}, content)) not in {
            Verdict.REJECTED,
            Verdict.LOCKED,
        }


@pytest.mark.parametrize(
    ("content", "token"),
    [
        (b"eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJub25lIn0.e30."),
        (b'"a1"', "a1"),
        (b"Bearer a1\n", "a1"),
        (b"3141592653589793238462643383279", "3141592653589793238462643383279"),
        (b"YTE=", "YTE="),
        *[(content, "") for content in (b"null", b"true", b"OK", b"", b"not a token", b"<a>", b"{", b"[]")],
    ],
)
def test_token_as_the_whole_answer(content: bytes, token: str) -> None:
    """With "." as the path an answer may be the token and nothing else, in quotes or not."""
    backend, response = Backend("up", URL, access_paths=["."]), answer(200, {"Content-Type": "text/plain"}, content)
    assert next(text for _, text in backend.tokens_at(response, backend.access_paths)) == token


def test_large_refusal() -> None:
    """Of a refusal 64 KiB are examined, of a success as much as a megabyte."""
    said = {"message": "Account is disabled.", "more": "x" * 65536}
    assert Backend("up", URL).verdict("refresh", answer(401, body=said)) is Verdict.TRANSIENT
    assert Backend("up", URL).verdict("refresh", answer(200, body={**said, "access": "a1"})) is Verdict.OK
