"""Options, rules, paths, lifetimes and bodies: the parts that backends are made of."""

from __future__ import annotations

import copy
import gzip
import json
import math
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
import requests
from requests import Response

from jwt_upstream import backends
from jwt_upstream.backends import Backend, OAuth2Backend, Rule, Verdict, get_backend
from jwt_upstream.backends.core.bodies import body, drain
from jwt_upstream.backends.core.redaction import cause, masked
from jwt_upstream.backends.core.transport import Deadline
from jwt_upstream.exceptions import UpstreamNotConfigured
from jwt_upstream.tokens import Secrets, TokenPair, claimed_expiry, expiry_after, expiry_at
from tests.support.raw_server import RawServer, say
from tests.support.upstream import Answer, Upstream

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
URL = "https://up.example.com/"


def answer(status: int = 200, value: Any = None, **headers: str) -> Response:
    """Return a response as it would have been received."""
    response = Response()
    response.status_code = status
    response._content = value if isinstance(value, bytes) else json.dumps(value).encode()
    response.headers.update({name.replace("_", "-"): text for name, text in headers.items()})
    return response


# -- options


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"login_pth": "x"}, "unknown option 'login_pth'; the options of Backend are access_paths, "),
        ({"login_path": 1}, "option 'login_path' must be a string"),
        ({"timeout": "1"}, "option 'timeout' must be a number or a list of 2, a number, a number"),
        ({"timeout": (1, 2, 3)}, "option 'timeout' must be a number or a list of 2"),
        ({"timeout": None}, "option 'timeout' must be a number or a list of 2"),
        ({"timeout": 0}, "timeout must be more than 0"),
        ({"timeout": (3, 0)}, "timeout must be more than 0"),
        ({"deadline": 0}, "deadline must be more than 0"),
        ({"deadline": -1}, "option 'deadline' must not be negative or infinite"),
        ({"deadline": math.nan}, "option 'deadline' must not be negative or infinite"),
        ({"backoff": True}, "option 'backoff' must be a number"),
        ({"access_paths": "token"}, "option 'access_paths' must be a list, each a string"),
        ({"locked_statuses": ["423"]}, "option 'locked_statuses' must be a list, each an integer"),
        ({"headers": {"A": 5}}, "option 'headers' must be a dict, each a string"),
        ({"login_fields": []}, "option 'login_fields' must be a dict"),
        ({"body_format": "xml"}, "body_format must be 'json' or 'form', not 'xml'"),
        ({"client_authentication": "digest"}, "client_authentication must be 'none', 'basic' or 'post', not 'digest'"),
        ({"refresh_format": "xml"}, "refresh_format must be 'json', 'form' or empty, not 'xml'"),
        ({"lifetime_unit": "min"}, "lifetime_unit must be 's' or 'ms', not 'min'"),
        (
            {"refresh_fields": {"a": "{otp}"}},
            "a refresh may contain {refresh}, {access} and text options, not",
        ),
        ({"refresh_headers": {"A": "x {otp}"}}, "a refresh may contain {refresh}, {access} and text options, not"),
        ({"rules": [5]}, "a rule must be a dict, not int"),
        ({"rules": [{"verdict": "LOCKED", "stat": 1}]}, "a rule has no key 'stat'; its keys are header, json, "),
        ({"rules": [{"status": 423}]}, "a rule's verdict must be one of OK, EXPIRED, "),
        (
            {"rules": [{"verdict": "LOCKED", "where": "apis"}]},
            "a rule's where must be one or more of api, login, refresh, ",
        ),
        ({"rules": [{"verdict": "LOCKED", "where": []}]}, "a rule's where must be one or more of api, login, refresh"),
        ({"rules": [{"verdict": "LOCKED", "header": 5}]}, "a rule's header must be a string, not 5"),
        ({"rules": [{"verdict": "LOCKED", "status": "423"}]}, "a rule's status must be int or a list of them"),
        ({"rules": [{"verdict": "LOCKED", "json": 5}]}, "a rule's json must be str or a list of them, not 5"),
        ({"rules": [{"verdict": "LOCKED", "pattern": "("}]}, "a rule's pattern is not a valid regular expression: "),
    ],
)
def test_wrong_option(options: dict[str, Any], problem: str) -> None:
    """What is wrong with an option is said in one sentence."""
    (found,) = Backend("up", URL, **options).check()
    assert found.startswith(problem)


class OwnBackend(Backend):
    """A project's own, with a type that nobody else knows."""

    colour: bytes = b""
    either: dict[str, Any] | list[int] = {}


def test_options_of_an_own_backend() -> None:
    """Options of types that aren't known are the backend's own business."""
    assert list(OwnBackend("up", URL, colour=5, either=[1]).check()) == []
    (found,) = OwnBackend("up", URL, either=7).check()
    assert found == "option 'either' must be a dict or a list, each an integer"


@pytest.mark.parametrize("name", [name for name in backends.__all__ if name.endswith("Backend")])
def test_backends_without_options(name: str, settings: Any) -> None:
    """Every backend can read answers before anybody has said what it needs for asking."""
    settings.JWT_UPSTREAM = {"up": {"BACKEND": f"jwt_upstream.backends.{name}", "BASE_URL": URL}}
    backend = get_backend("up")
    assert backend.verdict("refresh", answer(503)) is Verdict.TRANSIENT
    if backend.missing():
        assert backend.refresh(TokenPair("a1", "r1")).verdict is Verdict.CONFIG


def test_wrong_grant() -> None:
    """OAuth 2 needs a grant that works without a browser, and a client."""
    backend = OAuth2Backend("up", URL, grant_type="authorization_code")
    (found,) = backend.check()
    assert found.startswith("grant_type must be ")
    assert list(backend.missing()) == ["client_id"]


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("https://up.example.com/", "must be a dict"),
        ({"BASE_URL": URL, "OPTIONS": [1]}, "OPTIONS must be a dict whose keys are strings"),
        ({"BASE_URL": "up.example.com"}, "BASE_URL must be an http:// or https:// URL without user and password"),
        ({"BASE_URL": "http://[::bad/"}, "BASE_URL must be an http:// or https:// URL without user and password"),
        ({"BASE_URL": URL, "LOGIN": "bob"}, "LOGIN must be a dict"),
        ({"BASE_URL": URL, "BACKEND": "no.such.Backend"}, "BACKEND can't be imported"),
        ({"BASE_URL": URL, "BACKEND": "json.loads"}, "is not a subclass of Backend"),
        ({"BASE_URL": URL, "OPTIONS": {"deadline": -1}}, "option 'deadline' must not be negative"),
    ],
)
def test_wrong_settings(settings: Any, written: Any, problem: str) -> None:
    """A wrong upstream is an error as soon as it is used."""
    settings.JWT_UPSTREAM = {"up": written}
    with pytest.raises(UpstreamNotConfigured, match=problem):
        get_backend("up")


def test_no_upstreams_at_all(settings: Any) -> None:
    """Settings that are no dict are an error as well."""
    settings.JWT_UPSTREAM = None
    with pytest.raises(UpstreamNotConfigured, match="it has none"):
        get_backend("up")


def test_changed_settings(settings: Any) -> None:
    """A backend is kept as long as its settings are the same, also where they are changed in place."""
    settings.JWT_UPSTREAM = {"up": {"BASE_URL": URL, "OPTIONS": {"headers": {"A": "1"}}}}
    backend = get_backend("up")
    assert get_backend("up") is backend
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["headers"]["A"] = "2"
    assert get_backend("up").headers == {"A": "2"}
    assert repr(backend) == "<Backend up>"


# -- rules


def test_order_of_rules() -> None:
    """Rules of the settings come first, then locked_statuses, then the class's; expired_statuses comes last."""
    first = {"where": "api", "status": 423, "json": "code", "pattern": "^maintenance$", "verdict": "pass"}
    single: Any = 299  # in place of a tuple, as settings may have it
    rules = [first, Rule(Verdict.OK, ("api",), single)]
    backend = Backend("up", URL, rules=rules, locked_statuses=[423], expired_statuses=[419])
    assert backend.verdict("api", answer(423, {"code": "MAINTENANCE"})) is Verdict.PASS
    assert backend.verdict("api", answer(423, {"code": {"a": 1}})) is Verdict.LOCKED
    assert backend.verdict("api", answer(419)) is Verdict.EXPIRED
    assert backend.explain("api", answer(299)) == (Verdict.OK, Rule(Verdict.OK, ("api",), (299,)), "OPTIONS rules[1]")
    sources = [backend.explain("api", answer(status)).source for status in (423, 419, 401)]
    assert sources == ["locked_statuses", "expired_statuses", "a 401"]


def test_rule_as_settings_spell_it() -> None:
    """A rule is told as it would be written, and means the same when it is read back."""
    written = {"verdict": "LOCKED", "where": ["api", "refresh"], "status": 423, "json": "code", "pattern": "^x$"}
    assert Rule.parse(written).as_written() == written
    assert Rule(Verdict.PASS, header="X-Odd").as_written() == {"verdict": "PASS", "header": "X-Odd"}


def test_api_defaults() -> None:
    """Challenges tell whether another token would help."""
    backend = Backend("up", URL)
    assert backend.verdict("api", answer(401, WWW_Authenticate='Basic realm="x"')) is Verdict.PASS
    assert backend.verdict("api", answer(403, WWW_Authenticate='Bearer error="invalid_token"')) is Verdict.EXPIRED
    assert backend.verdict("api", answer(403, WWW_Authenticate='Bearer error="insufficient_scope"')) is Verdict.PASS
    assert backend.verdict("api", answer(500)) is Verdict.PASS
    assert backend.verdict("api", answer(204)) is Verdict.OK


# -- reading


@pytest.mark.parametrize(
    ("paths", "response"),
    [
        (["data.0.token"], answer(200, {"data": [{"token": "a1"}]})),
        (["missing", "data.9.token", "token"], answer(200, {"data": [], "token": "a1"})),
        (["."], answer(200, "a1")),
        (["header:X-Token"], answer(200, None, X_Token="a1")),
        (["cookie:BEARER"], answer(200, None, Set_Cookie="x=1; Path=/, BEARER=a1; Secure")),
    ],
)
def test_paths(paths: list[str], response: Response) -> None:
    """Tokens are found deep in the body, at its root, in a header and in a cookie."""
    assert Backend("up", URL, access_paths=paths).token_pair("login", response, NOW).access == "a1"


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
        assert backend.verdict(where, answer(status, value)) not in {Verdict.REJECTED, Verdict.LOCKED}
    with pytest.raises(ValueError, match="no access token"):
        backend.token_pair(where, answer(200, value))


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
    """An end is found however it is stated, on our clock; nonsense is no end."""
    pair = Backend("up", URL).token_pair("login", answer(200, {"access": "a1", **stated}), NOW)
    expected = None if seconds is None else NOW + timedelta(seconds=seconds)
    assert pair.access_expires_at == expected


def test_lifetimes_by_themselves() -> None:
    """The functions take anything."""
    assert expiry_after("x", NOW) is expiry_at("x") is expiry_at(True) is claimed_expiry("a.b.c") is None


def test_token_pair_refuses() -> None:
    """A pair holds strings and aware moments."""
    with pytest.raises(ValueError, match="access token must be a string, not int"):
        TokenPair(5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="access_expires_at must be an aware datetime"):
        TokenPair("a", access_expires_at=datetime(2026, 1, 1))
    pair = TokenPair(" a \n", "r")
    assert (pair.access, pair.with_claims()) == ("a", TokenPair("a", "r"))
    assert repr(pair) == "TokenPair(access_expires_at=None, refresh_expires_at=None)"
    assert copy.copy(pair) is copy.deepcopy(pair) is pair
    assert repr(Secrets(password="x")) == "<Secrets: password>"


def test_templates() -> None:
    """Fields may be nested; what is not asked for is sent as it stands."""
    fields = {"user": {"email": "{username}", "tags": ["{password}", 5]}, "mode": "json", "b": "{username} {x}"}
    backend = Backend("up", URL, login_fields=fields)
    assert backend.login_asks == ("username", "password")
    filled = backend.login_body({"username": "bob", "password": "p"})
    assert filled == {"user": {"email": "bob", "tags": ["p", 5]}, "mode": "json", "b": "{username} {x}"}


def test_lists_in_rules() -> None:
    """A path that leads to a list matches by any of its items; without a pattern anything that is there does."""
    rules = [
        {"where": "login", "json": "error_codes", "pattern": "^50057$", "verdict": "LOCKED"},
        {"where": "login", "json": "errors", "verdict": "CONFIG"},
    ]
    backend = Backend("up", URL, rules=rules)
    assert backend.verdict("login", answer(400, {"error_codes": [1, {"a": 50057}, 50057]})) is Verdict.LOCKED
    assert backend.verdict("login", answer(401, {"error_codes": [1]})) is Verdict.REJECTED
    assert backend.verdict("login", answer(401, {"errors": [{}]})) is Verdict.CONFIG
    assert backend.verdict("login", answer(401, {"errors": None})) is Verdict.REJECTED


def test_form_answer() -> None:
    """An answer may be a form (GitHub's is, unless asked for JSON)."""
    form = answer(
        200, b"access_token=a1&refresh_token=r1&expires_in=60", Content_Type="application/X-WWW-form-urlencoded"
    )
    pair = Backend("up", URL).token_pair("refresh", form, NOW)
    assert (pair.access, pair.refresh) == ("a1", "r1")
    assert pair.access_expires_at == NOW + timedelta(seconds=60)


def test_lifetimes_of_options() -> None:
    """Lifetimes may be in milliseconds; where the answer states none those of the options hold."""
    backend = Backend("up", URL, lifetime_unit="ms", lifetime=60, refresh_lifetime=600)
    pair = backend.token_pair("login", answer(200, {"access": "a", "refresh": "r", "expires_in": 5000}), NOW)
    assert pair.access_expires_at == NOW + timedelta(seconds=5)
    assert pair.refresh_expires_at == NOW + timedelta(seconds=600)
    pair = backend.token_pair("login", answer(200, {"access": "a"}), NOW)
    assert (pair.access_expires_at, pair.refresh_expires_at) == (NOW + timedelta(seconds=60), None)


def test_reset_of_a_rate_limit() -> None:
    """Some servers name the epoch second at which to ask again, in a header of their own."""
    with Upstream() as server:
        reset = str(int(time.time()) + 100)
        backend = Backend("up", server.url, retry_at_headers=["X-Reset"])
        server.answers["/refresh"] = Answer(429, {}, {"X-Reset": reset})
        assert 90 < (backend.refresh(TokenPair("a", "r")).retry_after or 0) <= 100
        server.answers["/refresh"] = Answer(404, {}, {"X-Reset": reset})
        assert backend.refresh(TokenPair("a", "r")).retry_after is None


# -- failures


def test_masking() -> None:
    """Known secrets and whatever looks like a token are masked, words are not."""
    assert masked(f"no {'x' * 40} for abc", ["abc", ""]) == "no […] for […]"
    assert masked("Account is disabled.") == "Account is disabled."
    codes = "HTTP 400: INVALID_LOGIN_CREDENTIALS, oauth_authorization_url_mismatch"
    assert masked(codes) == codes
    assert masked(f"{'x' * 20}_{'y' * 20}_9 A_B{'9' * 30}") == "[…] […]"


def chained() -> BaseException:
    error = OSError(111, "Connection refused")
    error.__context__ = error.__cause__ = None
    outer = ValueError(error)
    outer.__cause__ = outer  # as no sane code does
    return outer


@pytest.mark.parametrize("make", [chained, lambda: ValueError("x" * 300), lambda: KeyError(), lambda: OSError()])
def test_cause(make: Callable[[], BaseException]) -> None:
    """Any error can be put into a few words."""
    assert 0 < len(cause(make())) <= 200


def test_connection_made_too_late() -> None:
    """A connection that is there only after the deadline is cut at once."""
    ours, theirs = socket.socketpair()
    with ours, theirs, Deadline(0.01) as deadline:
        while not deadline.has_passed:
            time.sleep(0.01)
        deadline.watch(ours)
        assert theirs.recv(1) == b""


# -- bodies


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
    """So it is with a chunked one."""
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
        assert body(response) == b""
        with pytest.raises(requests.RequestException):
            response.content  # noqa: B018
    assert body(Response()) == b""


def test_drained_body(big: Upstream) -> None:
    """A body that is drained gives its connection back, and what was examined of it stays."""
    with requests.Session() as session:
        response = session.get(f"{big.url}big", stream=True, timeout=5)
        drain(response)
        assert response.content == b"x" * 65536
