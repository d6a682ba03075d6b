"""Readings: what is said of an answer, and that its tokens are not in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from requests import Response

from jwt_upstream.backends import Backend, Verdict, Where
from jwt_upstream.backends.explain.readings import Reading, read
from jwt_upstream.testing import answer
from jwt_upstream.tokens import fingerprint

ACCESS, REFRESH = "an-access-token", "a-refresh-token"
TOKENS = {"access": ACCESS, "refresh": REFRESH, "expires_in": 300, "user": {"name": "ann", "roles": ["a", "b"]}}


def backend(**options: object) -> Backend:
    return Backend("up", "https://up.example.com/", **options)


def reading_of_tokens(**options: object) -> Reading:
    return read(backend(**options), "login", answer(200, {}, TOKENS))


def test_tokens_are_found_and_not_shown() -> None:
    """A reading says at which path each token is and where its expiry stands, and holds a fingerprint of it only."""
    reading = reading_of_tokens()
    assert reading.verdict is Verdict.OK
    assert reading.access
    assert reading.refresh
    assert (reading.access.path, reading.refresh.path) == ("access", "refresh")
    assert (reading.access.fingerprint, reading.access.length) == (fingerprint(ACCESS), len(ACCESS))
    assert reading.access.expiry_source == "expires_in: 300"
    assert (reading.refresh.expires_at, reading.refresh.expiry_source) == (None, "")
    assert ACCESS not in repr(reading)
    assert REFRESH not in repr(reading)


def test_fields_are_listed_without_their_values() -> None:
    """The fields of a body are listed by path and type, so that somebody can see which one holds the token."""
    fields = reading_of_tokens().fields
    assert {"access (text)", "expires_in (number)", "user.name (text)"} <= set(fields)
    assert "ann" not in repr(fields)


def test_many_fields() -> None:
    """No more than 24 fields are listed, however many a body has."""
    reading = read(backend(), "login", answer(200, {}, {f"field{number}": number for number in range(100)}))
    assert len(reading.fields) == 24


@pytest.mark.parametrize(
    ("options", "source"),
    [
        ({"rules": [{"verdict": "locked", "where": "login", "json": "code", "pattern": "^E7$"}]}, "OPTIONS rules[0]"),
        ({}, ""),
    ],
)
def test_rule_that_decided(options: dict[str, object], source: str) -> None:
    """A reading names the rule that gave the verdict and where it is written; without one, the default."""
    reading = read(backend(**options), "login", answer(400, {}, {"code": "E7"}))
    assert (reading.rule is not None) == bool(source)
    assert reading.source.startswith(source)
    assert reading.source


def test_secrets_that_an_answer_quotes() -> None:
    """Neither what was sent nor what settings hold can be read where the answer quotes it."""
    echo = answer(400, {"WWW-Authenticate": 'Bearer hint="hunter2"'}, {"message": "hunter2 or s3cret is wrong"})
    reading = read(backend(client_secret="s3cret"), "login", echo, ["hunter2"])
    assert "hunter2" not in repr(reading)
    assert "s3cret" not in repr(reading)
    assert "WWW-Authenticate" in reading.headers


class Own(Backend):
    """A project's own backend, whose verdict no rule explains."""

    def verdict(self, where: Where, response: Response) -> Verdict:
        return Verdict.LOCKED


def test_method_of_a_project() -> None:
    """Where a project's own ``verdict`` decides, the reading names that method and no rule."""
    reading = read(Own("up", "https://up.example.com/"), "api", answer(200, {}, {}))
    assert (reading.verdict, reading.source, reading.rule) == (Verdict.LOCKED, "Own.verdict", None)


def test_time_to_wait() -> None:
    """A reading says how long the upstream asks us to wait, in seconds."""
    assert read(backend(), "refresh", answer(429, {"Retry-After": "7"}, {})).retry_after == 7


def test_expiry_of_the_reading() -> None:
    """A lifetime is counted from now: the answer was just received."""
    access = reading_of_tokens().access
    assert access
    assert access.expires_at
    assert abs(access.expires_at - datetime.now(UTC) - timedelta(seconds=300)) < timedelta(seconds=30)


def test_headers_that_would_change_a_terminal() -> None:
    """Whatever an upstream's headers and fields contain, a reading has no control or bidirectional character."""
    evil = "\x1b[31mred\r\n\u202e"
    headers = {"Content-Type": f"text/{evil}", "WWW-Authenticate": evil, "Retry-After": evil, "Location": evil}
    reading = read(backend(), "login", answer(401, headers, {evil: evil, "message": evil}))
    texts = [reading.media_type, reading.reason, reading.source, *reading.fields, *reading.headers.values()]
    assert [text for text in texts if not text.isprintable()] == []
