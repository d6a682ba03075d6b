"""Answers to calls which are about somebody else: other people's accounts, documents, orders, tokens and logins.

``answers_about_others.json`` has them by subject, each with its status, body and perhaps headers. They are worded as
many applications word them. No server says any of them of nothing but the token that was sent with the call.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from requests import Response

from jwt_upstream.backends import Backend, Rule, Verdict
from jwt_upstream.testing import answer
from tests.support.wire_cases import KINDS, made

Written = tuple[int, Any, dict[str, str]]

ANSWERS: dict[str, list[Written]] = {
    subject: [(status, body, *(headers or [{}])) for status, body, *headers in rows]
    for subject, rows in json.loads(Path(__file__).with_name("answers_about_others.json").read_text()).items()
}
GOES_TO_THE_CALLER = {Verdict.OK, Verdict.PASS}
OTHER_STATUSES = (200, 400, 403, 404, 409, 410, 422, 423)


def received(status: int, body: Any, headers: dict[str, str]) -> Response:
    """Return what is written as requests would have received it."""
    return answer(status, headers, body)


def misread(backend: Backend, written: list[Written]) -> list[Any]:
    """Return the answers that would lock, or that would cause a refresh without being a 401."""
    found = [
        (status, body, backend.verdict("api", received(status, body, headers))) for status, body, headers in written
    ]
    return [
        (status, body, verdict.name)
        for status, body, verdict in found
        if verdict is Verdict.LOCKED or (status != 401 and verdict not in GOES_TO_THE_CALLER)
    ]


def test_there_are_enough() -> None:
    """More than two hundred different answers are tried, with each of the statuses."""
    written = [json.dumps(each) for rows in ANSWERS.values() for each in rows]
    assert len(set(written)) == len(written) > 250
    assert {status for rows in ANSWERS.values() for status, *_ in rows} >= {401, *OTHER_STATUSES}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_nobody_is_locked(kind: type[Backend]) -> None:
    """No backend locks the account for what is said of somebody else, nor refreshes for it but at a 401."""
    assert [each for rows in ANSWERS.values() for each in misread(made(kind), rows)] == []


# -- the rules themselves, so that a new one is thought about

#: Where a server's own source uses a status other than 401 for the token that was sent with the call (the pages of
#: docs/reference/backends have the sources).
OTHER_THAN_401 = {
    ("SimpleJWTBackend", "LOCKED"): {403},
    ("SlackBackend", "LOCKED"): {200},
    ("SupabaseBackend", "LOCKED"): {403},
    ("WordPressJWTBackend", "LOCKED"): {403},
    ("default", "EXPIRED"): {400, 403},
    ("DirectusBackend", "EXPIRED"): {403},
    ("DjangoOAuthToolkitBackend", "EXPIRED"): {403},
    ("DRFJWTBackend", "EXPIRED"): {403},
    ("EntraBackend", "EXPIRED"): {403},
    ("FlaskJWTExtendedBackend", "EXPIRED"): {422},
    ("PocketBaseBackend", "EXPIRED"): {403},
    ("SalesforceBackend", "EXPIRED"): {403},
    ("SimpleJWTBackend", "EXPIRED"): {403},
    ("SlackBackend", "EXPIRED"): {200},
    ("SupabaseBackend", "EXPIRED"): {403},
    ("WordPressJWTBackend", "EXPIRED"): {403},
}


def rules_for_calls() -> Iterator[tuple[str, Rule]]:
    """Yield each rule that may lock or refresh for a call, with the class that has it."""
    for kind in KINDS:
        for source, written in made(kind)._written_rules():
            rule = Rule.parse(written)
            if "api" in rule.where and rule.verdict in {Verdict.LOCKED, Verdict.EXPIRED}:
                yield source.partition(" ")[0], rule


def test_statuses_of_rules() -> None:
    """A rule for calls names its statuses, and one other than 401 only where the server's source says so."""
    found: dict[tuple[str, str], set[int]] = {}
    for name, rule in rules_for_calls():
        assert rule.status, (name, rule)
        found.setdefault((name, rule.verdict.name), set()).update(rule.status)
    others = {key: statuses - {401} for key, statuses in found.items() if statuses - {401}}
    assert others == OTHER_THAN_401


def test_patterns_of_rules() -> None:
    """What locks, or refreshes without a 401, does so by a whole message or code, or by the token's own challenge."""
    for name, rule in rules_for_calls():
        if rule.verdict is Verdict.LOCKED or 401 not in rule.status:
            is_whole = rule.pattern.startswith("^") and rule.pattern.endswith("$")
            assert is_whole or rule.header == "WWW-Authenticate", (name, rule)


def test_known_words_with_other_statuses() -> None:
    """What is said with a 401 of others is as little about us with any other status."""
    words = [(body, headers) for rows in ANSWERS.values() for status, body, headers in rows if status == 401]
    assert misread(made(Backend), [(status, *rest) for status, rest in product(OTHER_STATUSES, words)]) == []
