"""Whatever a server sends, generated: every backend gives a verdict in no time, and gives nothing up for garbage."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from typing import Any, get_args
from urllib.parse import urlencode, urlsplit

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from requests import Request, Response

from jwt_upstream.backends import Backend, Rule, Verdict
from jwt_upstream.backends.core import asked_wait, origin, received, template, waits
from jwt_upstream.backends.core.default_rules import ERROR_PATHS
from jwt_upstream.backends.core.verdicts import Where
from jwt_upstream.backends.explain.readings import read
from jwt_upstream.backends.explain.saved_answers import parsed
from jwt_upstream.exceptions import UpstreamMisconfigured
from tests.support.wire_cases import KINDS, made

WHERES: tuple[Where, ...] = get_args(Where)
GIVES_UP = {Verdict.REJECTED, Verdict.LOCKED}
IN_TROUBLE = [408, 425, 429, 502, 503, 504]

few = settings(max_examples=3, derandomize=True, database=None, deadline=None)
many = settings(few, max_examples=200, suppress_health_check=list(HealthCheck))


@cache
def rules(backend: Backend) -> list[Rule]:
    return [Rule.parse(rule) for _, rule in backend._written_rules()]


@cache
def paths(backend: Backend) -> list[str]:
    """Return every path at which the backend looks for anything."""
    options = [name for name in backend.option_types() if name.endswith("_paths")]
    return sorted(
        {path for name in options for path in getattr(backend, name)}
        | {path for rule in rules(backend) for path in rule.json}
    )


# -- what servers may send

words = {step for kind in KINDS for path in paths(made(kind)) for step in path.split(".") if ":" not in step}
texts = st.text(max_size=30) | st.sampled_from(["", " ", "\x00", "\ud800", "Bearer", "Bearer ", "a.b.c", "9" * 400])
numbers = st.integers() | st.floats() | st.sampled_from([0, -1, 10**400, 1e308, 253402300800, 253402300800000])
leaves = st.none() | st.booleans() | numbers | texts
keys = st.sampled_from(sorted(words)) | st.text(max_size=5)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=6), max_leaves=15
)
statuses = st.sampled_from([200, 302, 400, 401, 403, 500, *IN_TROUBLE]) | st.integers(100, 599)
nasty = st.sampled_from(
    [
        b"[" * 60_000,
        b'{"error":' * 9_000,
        b'{"a":' * 500 + b"1" + b"}" * 500,
        b"\xef\xbb\xbf{}",
        '{"message": "ü"}'.encode("utf-16"),
        b'{"token": ' + b"9" * 5000 + b"}",
        b'{"$ref": "#", "error": {"$ref": "#/error"}}',
        b"\x1f\x8b\x08\x00garbage",
        b"<!DOCTYPE html><title>Bad gateway</title>",
        b"<" * 70_000,
        b" " * 70_000,
        b"error=" * 10_000,
        b'<br />\n<b>Notice</b>: foo<br />\n{"token": "a1", "error": "invalid_grant"}',
        b')]}\',\n{"access_token": [',
        b"access_token=a1&refresh_token=%00&error=invalid_grant",
        '{"token": "a1", "name": "é", "message": "Invalid refresh token"'.encode("latin-1"),
        '{"access": "a1", "error": {"code": "x"}}'.encode("utf-32"),
        b'"{\\"token\\": \\"a1\\"}"',
        b"a.b.c",
    ]
)
#: One header of each kind.
RESETS = {f"X-{kind}": kind for kind in waits.KINDS}
names = [
    *(
        "WWW-Authenticate",
        "Retry-After",
        "Content-Type",
        "Content-Encoding",
        "Set-Cookie",
        "Location",
        "Authorization",
    ),
    *{rule.header for kind in KINDS for rule in rules(made(kind)) if rule.header},
    *{name for kind in KINDS for name in made(kind).rate_limit_headers},
    *RESETS,
    "Date",
    *{path.partition(":")[2] for kind in KINDS for path in paths(made(kind)) if path.startswith("header:")},
]
header_texts = st.text(st.characters(max_codepoint=255), max_size=40) | st.sampled_from(
    [
        *('Basic realm="x"', "Bearer", 'Bearer error="', "text/html", "application/json", "=;,", "-1", "1e400"),
        *("application/x-www-form-urlencoded; charset=nonsense", "Mon, 01 Jan 99999 00:00:00 GMT", "9" * 5000),
        *("r=0;t=9", '"' + r"\"" * 30_000),
        *(
            f"application/json; charset={charset}"
            for charset in ("utf-16", "utf-7", "punycode", "cp037", "hex", '"', "\0")
        ),
    ]
)
headers = st.dictionaries(st.sampled_from(sorted(names)), header_texts, max_size=4)


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def as_form(value: dict[str, str]) -> bytes:
    return urlencode(value, errors="replace").encode()


def placed(path: str, value: Any) -> Any:
    """Return a JSON value in which another one stands at a path."""
    for step in reversed([] if path in {"", "."} or ":" in path else path.split(".")):
        value = [None] * int(step) + [value] if step.isdecimal() else {step: value}
    return value


@cache
def at_paths(backend: Backend) -> st.SearchStrategy[bytes]:
    """Anything at one of the paths that the backend looks at."""
    return st.builds(placed, st.sampled_from(paths(backend)), values).map(as_json)


@cache
def bodies(backend: Backend) -> st.SearchStrategy[bytes]:
    forms = st.dictionaries(keys, texts, max_size=5).map(as_form)
    return st.binary(max_size=200) | values.map(as_json) | at_paths(backend) | forms | nasty


def judge(backend: Backend, where: Where, response: Response) -> Verdict:
    """Have everything said of an answer that there is to say; anything but a ValueError fails the test."""
    verdict = backend.verdict(where, response)
    assert backend.explain(where, response).verdict is verdict
    assert 0 < len(backend.reason(response)) < 250
    reading = read(backend, where, response)
    assert (reading.verdict is verdict or verdict is Verdict.OK, str(reading).isprintable()) == (True, True)
    longest, kinds = backend.retry_after_max, {**backend.rate_limit_headers, **RESETS}
    pause = asked_wait(response.status_code, response.headers, kinds, timezone.now(), longest)
    assert pause is None or 0 <= pause <= backend.retry_after_max
    try:
        pair = backend.token_pair(where, response)
    except ValueError:
        return verdict
    assert pair.access.isascii()
    return verdict


# -- what must hold


def garbage(kind: type[Backend], data: st.DataObject) -> None:
    """Garbage may be a refusal only where a token endpoint says 401, 403, or what its own rules know."""
    backend, where = made(kind), data.draw(st.sampled_from(WHERES))
    response = received(data.draw(statuses), data.draw(headers), data.draw(bodies(backend)))
    verdict = judge(backend, where, response)
    if where == "api" or response.status_code in {*IN_TROUBLE, 400} or not 400 < response.status_code < 500:
        # A second factor that a login is asked for is any text at all; refusing a login costs no stored credential.
        is_second_factor = where == "login" and response.status_code == 200 and verdict is Verdict.REJECTED
        assert verdict not in GIVES_UP or (is_second_factor and backend.explain(where, response).rule)


def page_in_place_of_an_answer(kind: type[Backend], data: st.DataObject) -> None:
    backend = made(kind)
    content = b"<html>" + data.draw(texts).encode(errors="replace")
    response = received(data.draw(st.integers(300, 599)), {"Content-Type": "text/html"}, content)
    assert judge(backend, data.draw(st.sampled_from(WHERES)), response) not in GIVES_UP


@cache
def words_of(pattern: str) -> st.SearchStrategy[str]:
    return st.from_regex(re.compile(pattern, re.IGNORECASE))


def known_words_of_a_server_in_trouble(kind: type[Backend], data: st.DataObject) -> None:
    backend = made(kind)
    giving_up = [rule for rule in rules(backend) if rule.verdict in GIVES_UP]
    rule = data.draw(st.sampled_from(giving_up))
    text = data.draw(words_of(rule.pattern))
    head = {rule.header: text} if rule.header else {}
    content = (
        as_json(placed(data.draw(st.sampled_from(rule.json)), text)) if rule.json else text.encode(errors="replace")
    )
    # Auth0 says 429 of an account that it has blocked for its wrong passwords, so that one is meant.
    meant = {status for rule in giving_up for status in rule.status}
    response = received(
        data.draw(st.sampled_from([status for status in IN_TROUBLE if status not in meant])), head, content
    )
    assert judge(backend, data.draw(st.sampled_from(rule.where)), response) not in GIVES_UP


def known_words_in_answer_to_a_call(kind: type[Backend], data: st.DataObject) -> None:
    """Say to a call, of somebody else, what a backend knows of our account and tokens."""
    backend = made(kind)
    rule = data.draw(st.sampled_from([rule for rule in rules(backend) if rule.verdict in GIVES_UP and rule.json]))
    content = as_json(placed(data.draw(st.sampled_from(rule.json)), data.draw(words_of(rule.pattern))))
    response = received(data.draw(st.sampled_from([400, 404, 409, 410, 423])), {}, content)
    assert judge(backend, "api", response) is Verdict.PASS


Property = Callable[[type[Backend], st.DataObject], None]
PROPERTIES: list[Property] = [
    garbage,
    page_in_place_of_an_answer,
    known_words_of_a_server_in_trouble,
    known_words_in_answer_to_a_call,
]


def check(holds: Property, kind: type[Backend], profile: settings) -> None:
    @profile
    @given(st.data())
    def holds_for(data: st.DataObject) -> None:
        holds(kind, data)

    holds_for()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("holds", PROPERTIES, ids=lambda holds: holds.__name__)
def test_holds(holds: Property, kind: type[Backend]) -> None:
    """Nothing raises, and nothing is given up for garbage, a page, or whatever a server in trouble says."""
    check(holds, kind, few)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("holds", PROPERTIES, ids=lambda holds: holds.__name__)
def test_holds_for_many(holds: Property, kind: type[Backend]) -> None:
    """What holds for a few answers holds for many."""
    check(holds, kind, many)


# -- addresses and other values that calls take from an answer

pieces = st.sampled_from(
    [
        *(
            "https://",
            "http://",
            "//",
            "a.example.com",
            "evil.net",
            ".example.com",
            "@",
            ":",
            ":443",
            ":80",
            "\\",
            "/",
        ),
        *("?", "#", "%2e", "%40", "[::1]", "[", " ", "\t", "\n", "\r", "\0", "ü", "。", "bob"),
    ]
)
addresses = st.lists(pieces, max_size=6).map("".join) | st.lists(pieces, max_size=4).map(
    lambda parts: f"https://{''.join(parts)}"
)
TAKING = {
    "base_url_paths": ["a", "kept:a"],
    "base_url_hosts": ["*.example.com"],
    "api_headers": {"X": "{answer.b} {access}"},
    "api_query": {"c": "{answer.b}"},
}


def whatever_calls_take_from_an_answer(data: st.DataObject) -> None:
    backend = Backend("up", "https://up.example.org/v1/", **TAKING)
    content = as_json({"access": "t", "a": data.draw(addresses | values), "b": data.draw(addresses | values)})
    kept = {"a": data.draw(addresses)}
    outcome = backend.outcome("refresh", received(200, {}, content), timezone.now(), (), kept)
    assert outcome.pair
    request = Request("GET", backend.base_url).prepare()
    with suppress(UpstreamMisconfigured):
        base_url, there = backend.address(outcome.pair)
        assert str(there.host).endswith(".example.com") or there == backend.origin
        assert (there.scheme, there.port, there.auth, base_url[-1]) == ("https", 443, None, "/")
        assert urlsplit(base_url).hostname == str(there.host).lower()
    with suppress(UpstreamMisconfigured):
        backend.authorize(request, outcome.pair)
        assert str(request.headers["X"]).isprintable()
        assert origin(str(request.url)) == backend.origin
    assert backend.outcome("login", received(200, {}, content), timezone.now(), (), kept).reason.isprintable()


@pytest.mark.parametrize("profile", [settings(few, max_examples=30), pytest.param(many, marks=pytest.mark.slow)])
def test_what_calls_take_from_an_answer(profile: settings) -> None:
    """Whatever an answer says, no call goes to a host that settings don't name, nor has a header with a line break."""
    profile(given(st.data())(whatever_calls_take_from_an_answer))()


templates = st.lists(
    st.sampled_from(
        ["{", "}", ":", "{sha256:", "{hmac_md5:", "{now", "+1d", "{answer.", "{a}", "{uuid}", "x", "%Y", " "]
    ),
    max_size=12,
).map("".join)


@few
@given(templates | texts)
def test_template_of_anything(text: str) -> None:
    """Any text is a template, whose names are all that it needs, and what has no braces is kept."""
    read = template(text)
    filled = read.fill(dict.fromkeys(read.names, "v"))
    assert filled == text or "{" in text


lines = st.sampled_from([b"HTTP/1.1 200 OK", b"HTTP/2 401 ", b"", b"A: b", b" folded", b"Content-Encoding: gzip"])
saved_files = st.binary(max_size=60) | st.lists(lines | st.binary(max_size=20), max_size=9).map(b"\r\n".join)


@few
@given(saved_files)
def test_saved_answer(content: bytes) -> None:
    """A file of anything is an answer or a ValueError."""
    with suppress(ValueError):
        judge(made(Backend), "login", parsed(content))


# -- how long it may take, in time of this thread's own, so that a busy machine makes no difference


MEGABYTE = 1024 * 1024


def huge(piece: bytes, start: bytes = b"", end: bytes = b"") -> bytes:
    """Return a megabyte of one piece, between a start and an end."""
    return start + piece * ((MEGABYTE - len(start) - len(end)) // len(piece)) + end


#: What JSON, forms, notices, list after list of messages, and words that patterns begin with take long to read.
HUGE = [
    *(huge(b"a ", b'{"message": "', b'"}'), huge(b'", "invalid', b'{"error": ["', b'"]}'), huge(b"Account is ")),
    *(
        huge(b",[]", b'{"a": [[]', b"]}"),
        huge(b",0", b'{"a": [0', b"]}"),
        huge(b",{}", b'{"\xe9": [{}'),
        huge(b"&a=1", b"a=1"),
    ),
    *(huge(b'\n{"a": 1'), huge(b">"), huge(b"\n"), huge(b" "), huge(b"{\x00", b"\xff\xfe"), huge(b"<"), huge(b"[")),
    *(huge(b"a_", b'{"message": "', b'"}'), b'{"errors": [' + b'"invalid refresh token if ", ' * 2000 + b"0]}"),
    json.dumps(dict.fromkeys(ERROR_PATHS, "the user account refresh token is " * 100)).encode(),
]


def slowest(kind: type[Backend], contents: list[bytes]) -> float:
    """Return how long the slowest of some answers takes."""

    def seconds(status: int, content: bytes) -> float:
        backend, response, started = made(kind), received(status, {}, content), time.thread_time()
        assert backend.outcome("refresh", response, timezone.now()).verdict not in {Verdict.OK, Verdict.LOCKED}
        return time.thread_time() - started

    return max(seconds(status, content) for content in contents for status in (200, 403))


def test_huge_answer() -> None:
    """A megabyte is read and judged in less than 50 ms; the bound is that of a hundred times as slow a machine."""
    assert slowest(Backend, HUGE[::6]) < 5


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_huge_answer_for_every_backend(kind: type[Backend]) -> None:
    """The rules of no backend take longer, on a machine that is ten times as slow."""
    assert slowest(kind, HUGE) < 0.5


def fragments(pattern: str) -> Iterator[str]:
    """Yield texts that a pattern may get lost in: its own words, what is between them, and long runs."""
    own = re.findall(r"[A-Za-z_.=\" -]{2,}", re.sub(r"\\[a-zA-Z]", " ", pattern))
    yield from {" ", "\n", "a", "a ", ", ", "\\", '"', "0", "aA1_ ", *own, "".join(own), " ".join(own)} - {""}


def patterns() -> list[str]:
    return sorted({rule.pattern for kind in KINDS for rule in rules(made(kind)) if rule.pattern})


def seconds(regex: re.Pattern[str], fragment: str, length: int) -> float:
    text = (fragment * length)[:length] + "!"
    started = time.thread_time()
    regex.search(text)
    return time.thread_time() - started


def shortest(regex: re.Pattern[str], fragment: str, length: int) -> float:
    """Measure five times: whatever else the machine does makes a time longer, never shorter."""
    return min(seconds(regex, fragment, length) for _ in range(5))


def gets_lost(pattern: str) -> bool:
    """Tell whether a short text takes a pattern for ever, or a text of 16 times the length far more than that."""
    regex = re.compile(pattern, re.IGNORECASE | re.DOTALL)
    for fragment in fragments(pattern):
        if seconds(regex, fragment, 24) > 0.1:
            return True
        # Linear time gives 16 here, quadratic time 256.
        is_slow = seconds(regex, fragment, 8 * 1024) > 0.002
        if is_slow and shortest(regex, fragment, 8 * 1024) > 64 * shortest(regex, fragment, 512):
            return True
    return False


@pytest.mark.slow
def test_no_pattern_gets_lost() -> None:
    """No text makes a rule's pattern go back and forth: the time is that of reading it once."""
    assert list(filter(gets_lost, patterns())) == []


@pytest.mark.parametrize("pattern", ["^(a+)+$", "due to .* problem"])
def test_patterns_that_get_lost(pattern: str) -> None:
    """The check of patterns finds those that take exponential, and quadratic, time."""
    assert gets_lost(pattern)
