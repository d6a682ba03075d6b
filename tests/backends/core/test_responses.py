"""Where servers put tokens and lifetimes: the ``fields`` of wire_cases/, found by paths alone."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import jwt
import pytest
from requests import Response

from jwt_upstream import testing
from jwt_upstream.backends import (
    Backend,
    LexikBackend,
    OAuth2Backend,
    Outcome,
    SimpleJWTBackend,
    Verdict,
)
from jwt_upstream.tokens import TokenPair
from tests.support.raw_server import RawServer, say
from tests.support.wire_cases import CASES, Case, answer, failures, is_ours, own_backend

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
SHAPES = [case for case in CASES if case.get("fields")]


def stated(case: dict[str, Any], field: str) -> Any:
    """Return what stands in a case where its ``fields`` say, None where they say that nothing does."""
    path = case["fields"].get(field)
    if path is None:
        return None
    if path.startswith("header:"):
        return case["headers"][path.removeprefix("header:")].removeprefix("Bearer ")
    value = case["body"]
    for step in path.split("."):
        value = value[step]
    return value


def taught(case: dict[str, Any]) -> Backend:
    """Return a plain backend that knows of a server no more than the paths."""
    options = {"access": "access_paths", "refresh": "refresh_paths", "expires": "expires_in_paths"}
    fields = case["fields"]
    paths = {option: [fields[field]] if fields.get(field) else [] for field, option in options.items()}
    return Backend("up", "https://up.example.com/", **paths)


def test_paths_as_options() -> None:
    """Options alone are enough to read the tokens of any server in the list."""

    def check(case: Case) -> None:
        pair = taught(case).token_pair("login", answer(case), NOW)
        assert (pair.access, pair.refresh) == (stated(case, "access"), stated(case, "refresh") or "")

    assert failures(SHAPES, check) == []


def test_lifetime_in_seconds() -> None:
    """A lifetime in seconds, be it a number or digits, is counted from when we asked."""

    def check(case: Case) -> None:
        pair = taught(case).token_pair("login", answer(case), NOW)
        assert pair.access_expires_at == NOW + timedelta(seconds=float(stated(case, "expires")))

    assert failures([case for case in SHAPES if case["fields"].get("unit") == "s"], check) == []


def test_shapes_of_servers() -> None:
    """The backend for a server finds by itself what the server documents."""

    def check(case: Case) -> None:
        pair = own_backend(case).token_pair(case["where"], answer(case), NOW)
        assert (pair.access, pair.refresh) == (stated(case, "access"), stated(case, "refresh") or "")
        if moment := stated(case, "refresh_expires_at"):
            assert pair.refresh_expires_at == datetime.fromtimestamp(moment, UTC)
        if lifetime := stated(case, "expires"):
            unit = {"s": 1.0, "ms": 0.001}[case["fields"]["unit"]]
            assert pair.access_expires_at == NOW + timedelta(seconds=float(lifetime) * unit)

    assert failures(filter(is_ours, SHAPES), check) == []


def test_body_before_cookie() -> None:
    """The first path at which something stands wins, in the order of the option."""
    response = testing.answer(200, {"Set-Cookie": "BEARER=of-the-cookie; HttpOnly"}, {"token": "of-the-body"})
    for paths in (["token", "cookie:BEARER"], ["cookie:BEARER", "token"]):
        pair = Backend("up", "https://up.example.com/", access_paths=paths).token_pair("login", response)
        assert pair.access == ("of-the-body" if paths[0] == "token" else "of-the-cookie")


URL = "https://up.example.com/"


def token(**claims: Any) -> str:
    return jwt.encode(claims, "x" * 32)


NO_SECONDS: list[Any] = [0, -5, True, "soon", None, [], math.inf]


NO_MOMENT: list[Any] = [0, -5, True, "soon", None, {}, 1e300, "9999-99-99", "9" * 400]


@pytest.mark.parametrize(
    ("stated", "seconds"),
    [
        ({"expires_in": 60}, 60),
        ({"expires_in": "60"}, 60),
        ({"expires_in": 60.5}, 60.5),
        ({"expires_in": 1e300}, 36500 * 86400),
        ({"expires_at": NOW.timestamp() + 60}, 60),
        ({"expires_at": (NOW.timestamp() + 60) * 1000}, 60),
        ({"expires_at": "2026-11-23T09:01:00Z"}, 60),
        ({"expires_at": "2026-11-23T09:01:00"}, 60),
        ({"access": token(exp=1060, iat=1000)}, 60),
        ({"access": token(exp=int(NOW.timestamp()) + 60)}, 60),
        *[({"expires_in": value}, None) for value in NO_SECONDS],
        *[({"expires_at": value}, None) for value in NO_MOMENT],
        ({"access": token(sub="nobody")}, None),
        ({"access": token(exp=1060, iat=1060) + "x"}, -NOW.timestamp() + 1060),
    ],
)
def test_lifetimes(stated: dict[str, Any], seconds: float | None) -> None:
    """An expiry is found however it is stated, on our clock; nonsense is no expiry."""
    pair = Backend("up", URL).token_pair("login", testing.answer(200, body={"access": "a1", **stated}), NOW)
    expected = None if seconds is None else NOW + timedelta(seconds=seconds)
    assert pair.access_expires_at == expected


def test_lifetimes_of_options() -> None:
    """Lifetimes may be in milliseconds; where the answer states none those of the options hold."""
    backend = Backend("up", URL, lifetime_unit="ms", lifetime=60, refresh_lifetime=600)
    pair = backend.token_pair(
        "login", testing.answer(200, body={"access": "a", "refresh": "r", "expires_in": 5000}), NOW
    )
    assert pair.access_expires_at == NOW + timedelta(seconds=5)
    assert pair.refresh_expires_at == NOW + timedelta(seconds=600)
    pair = backend.token_pair("login", testing.answer(200, body={"access": "a"}), NOW)
    assert (pair.access_expires_at, pair.refresh_expires_at) == (NOW + timedelta(seconds=60), None)


BACKENDS = [Backend, LexikBackend, SimpleJWTBackend, OAuth2Backend]


VALUES: list[Any] = [
    None,
    True,
    5,
    -1,
    1e300,
    math.nan,
    math.inf,
    "",
    " ",
    "9999-12-31T23:59:59-12:00",
    [],
    {},
    [[]],
    {"a": {}},
]


KEYS = [
    *("access_token", "refresh_token", "access", "refresh", "token", "expires_in", "expires_at"),
    *("refresh_expires_in", "refresh_token_expiration", "error", "error_description", "message", "detail", "code"),
]


GIVES_UP = {Verdict.REJECTED, Verdict.LOCKED}


def judge(backend: Backend, response: Response) -> set[Verdict]:
    """Have everything said of an answer that there is to say; anything but a ValueError fails the test."""
    verdicts = {backend.verdict(where, response) for where in ("api", "login", "refresh")}
    assert len(backend.reason(response)) < 250
    try:
        pair = backend.token_pair("refresh", response)
    except ValueError:
        return verdicts
    assert pair.access
    return verdicts


@pytest.mark.parametrize("kind", BACKENDS)
@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_wrong_type_at_every_path(kind: type[Backend], value: Any) -> None:
    """A value of a wrong type costs nothing, wherever it stands."""
    backend = kind("up", "https://up.example.com/")
    good = {"access_token": "a", "access": "a", "token": "a"}
    for key in KEYS:
        for content in ({key: value}, {**good, key: value}):
            judge(backend, testing.answer(200, body=json.dumps(content).encode()))
            assert not judge(backend, testing.answer(500, body=json.dumps(content).encode())) & GIVES_UP


@pytest.mark.parametrize("kind", BACKENDS)
@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe\x00",
        b"\xef\xbb\xbf{}",
        b"[" * 60_000,
        b'{"a":' * 10_000,
        b'{"token": ' + b"9" * 5000 + b"}",
        b'{"message": "\\ud800"}',
        b'{"token": "\\ud800", "access": "\\u0000", "access_token": "a b"}',
        b"x" * 3_000_000,
        b"\x00" * 70_000,
    ],
    ids=lambda content: repr(content[:12]),
)
def test_nasty_body(kind: type[Backend], content: bytes) -> None:
    """No body, however nasty, raises, takes long, or gives a credential up on a success or a failing server."""
    backend, started = kind("up", "https://up.example.com/"), time.monotonic()
    for status in (200, 204, 302, 404, 500, 599):
        assert not judge(backend, testing.answer(status, body=content)) & GIVES_UP
    judge(backend, testing.answer(401, body=content))
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("status", [200, 301, 401, 429])
@pytest.mark.parametrize("name", ["WWW-Authenticate", "Retry-After", "Content-Type", "Set-Cookie", "Location"])
@pytest.mark.parametrize("value", [b"\xff\xfe\x80", b"", b"=;,", b"Basic " * 1000, b"http://[::1", b"9" * 400])
def test_strange_header(status: int, name: str, value: bytes) -> None:
    """A header that is no text, no date or no URL raises nothing and gives nothing up."""
    lines = [b"HTTP/1.1 %d Eh" % status, name.encode() + b": " + value, b"Content-Length: 2", b"", b"xx"]
    with RawServer(say(b"\r\n".join(lines))) as server:
        outcome = LexikBackend("up", server.url, deadline=2).refresh(TokenPair("a", "r"))
    assert outcome.verdict not in GIVES_UP
    assert outcome.retry_after is None or 0 <= outcome.retry_after <= 3600


def test_scheme_that_comes_with_the_token() -> None:
    """A token that is given as a whole header value is taken without its scheme."""
    backend = Backend("up", "https://up.example.com/", access_paths=["header:Authorization", "token"])
    assert backend.token_pair("login", testing.answer(200, {"Authorization": "Bearer abc"})).access == "abc"
    assert backend.token_pair("login", testing.answer(200, body=b'{"token": " bearer  abc"}')).access == "abc"
    with pytest.raises(ValueError, match="holds no access token"):
        backend.token_pair("login", testing.answer(200, {"Authorization": "Bearer "}))


class Quoting(Backend):
    """A project's own, which takes whatever the server says for a reason."""

    def reason(self, response: Response, secrets: Iterable[str] = ()) -> str:
        return response.text


class Saying(Backend):
    """A project's own, which sends nothing."""

    def login(self, credentials: Mapping[str, str]) -> Outcome:
        return Outcome(Verdict.REJECTED, "no\x1b[2K\r\nyes")


def test_reasons_of_a_backend_of_ones_own() -> None:
    """What a project's own backend quotes is one line, without the secrets that it is told of."""
    said = testing.answer(401, body=f"wrong:\r\n\u202ehunter2 {quote('swordfish 9')}\x1b[2K")
    assert Quoting("up", "https://up.example.com/").reason(said, ["swordfish 9"]) == "wrong: hunter2 […] [2K"
    outcome = Saying("up", "https://up.example.com/").login({"username": "bob", "password": "x"})
    assert outcome.full_reason == "no [2K yes"
