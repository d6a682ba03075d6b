"""Rules: which one decides, how settings write it, and what it matches."""

from __future__ import annotations

from typing import Any

import pytest

from jwt_upstream.backends import Backend, Rule, Verdict
from jwt_upstream.testing import answer

URL = "https://up.example.com/"


def test_order_of_rules() -> None:
    """Rules of the settings come first, then locked_statuses, then the class's; expired_statuses comes last."""
    first = {"where": "api", "status": 423, "json": "code", "pattern": "^maintenance$", "verdict": "pass"}
    single: Any = 299  # in place of a tuple, as settings may have it
    rules = [first, Rule(Verdict.OK, ("api",), single)]
    backend = Backend("up", URL, rules=rules, locked_statuses=[423], expired_statuses=[419])
    assert backend.verdict("api", answer(423, body={"code": "MAINTENANCE"})) is Verdict.PASS
    assert backend.verdict("api", answer(423, body={"code": {"a": 1}})) is Verdict.LOCKED
    assert backend.verdict("api", answer(419)) is Verdict.EXPIRED
    assert backend.explain("api", answer(299)) == (Verdict.OK, Rule(Verdict.OK, ("api",), (299,)), "OPTIONS rules[1]")
    sources = [backend.explain("api", answer(status)).source for status in (423, 419, 401)]
    assert sources == ["locked_statuses", "expired_statuses", "a 401"]


def test_rule_as_settings_spell_it() -> None:
    """A rule is told as it would be written, and means the same when it is read back."""
    written = {"verdict": "LOCKED", "where": ["api", "refresh"], "status": 423, "json": "code", "pattern": "^x$"}
    assert Rule.parse(written).as_written() == written
    assert Rule(Verdict.PASS, header="X-Odd").as_written() == {"verdict": "PASS", "header": "X-Odd"}


def test_lists_in_rules() -> None:
    """A path that leads to a list matches by any of its items; without a pattern anything that is there does."""
    rules = [
        {"where": "login", "json": "error_codes", "pattern": "^50057$", "verdict": "LOCKED"},
        {"where": "login", "json": "errors", "verdict": "CONFIG"},
    ]
    backend = Backend("up", URL, rules=rules)
    assert backend.verdict("login", answer(400, body={"error_codes": [1, {"a": 50057}, 50057]})) is Verdict.LOCKED
    assert backend.verdict("login", answer(401, body={"error_codes": [1]})) is Verdict.REJECTED
    assert backend.verdict("login", answer(401, body={"errors": [{}]})) is Verdict.CONFIG
    assert backend.verdict("login", answer(401, body={"errors": None})) is Verdict.REJECTED


@pytest.mark.parametrize(
    ("body", "is_found"),
    [
        ({"errors": [*[0] * 19, "locked"]}, True),
        ({"errors": [*[0] * 20, "locked"]}, False),
        ({"a": "x" * 994 + "locked"}, True),
        ({"a": "x" * 995 + "locked"}, False),
        ({"errors": ["x" * 1000] * 3, "a": "locked"}, True),
        ({"errors": ["x" * 1000] * 4, "a": "locked"}, False),
    ],
)
def test_bounds_of_a_search(body: dict[str, Any], is_found: bool) -> None:
    """A pattern searches 20 items of a list, the beginning of each value, and 4000 characters in all."""
    rule = Rule(Verdict.LOCKED, json=("errors", "a"), pattern="locked")
    assert rule.matches("refresh", answer(401, body=body)) is is_found


def test_bounds_of_a_header() -> None:
    """Of a header, which may have megabytes, its beginning is searched."""
    rule = Rule(Verdict.CONFIG, header="X-Why", pattern="wall$")
    assert rule.matches("login", answer(401, {"X-Why": " " * 900 + "wall"}))
    assert not rule.matches("login", answer(401, {"X-Why": " " * 1000 + "wall"}))


@pytest.mark.parametrize("beside", [{"error": "server_error"}, {"message": "Your account is locked."}])
def test_pair_with_an_error_beside_it(beside: dict[str, str]) -> None:
    """No default rule takes a new pair for a failure, whatever is said beside it; a rule of the settings may."""
    response = answer(200, body={"access": "a1", **beside})
    assert Backend("up", URL).verdict("refresh", response) is Verdict.OK
    rules = [{"json": ["error", "message"], "status": 200, "verdict": "CONFIG"}]
    assert Backend("up", URL, rules=rules).verdict("refresh", response) is Verdict.CONFIG
