"""What the backends make of answers of real servers (wire_cases/): each backend of its own, the plain ones of all."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from jwt_upstream.backends import Backend, OAuth2Backend, Verdict
from tests.support.wire_cases import (
    CASES,
    CASES_BY_FILE,
    LEFT_TO_A_REFRESH,
    Case,
    answer,
    failures,
    is_ours,
    made,
    own_backend,
    right,
)

GIVES_UP = {"REJECTED", "LOCKED"}


@pytest.mark.parametrize("file", CASES_BY_FILE)
def test_verdict_of_its_backend(file: str) -> None:
    """The backend for a server understands what the server says."""

    def check(case: Case) -> None:
        assert own_backend(case).verdict(case["where"], answer(case)).name in right(case)

    assert failures(filter(is_ours, CASES_BY_FILE[file]), check) == []


def test_what_is_left_to_a_refresh() -> None:
    """What a call's answer leaves open is no loss: a refresh that is refused in the same words locks."""

    def check(case: Case) -> None:
        assert case["outcome"] == "credentials_invalid_no_refresh"
        assert own_backend(case).verdict("refresh", answer(case)) is Verdict.LOCKED

    cases = [case for case in CASES if case["id"] in LEFT_TO_A_REFRESH]
    assert len(cases) == len(LEFT_TO_A_REFRESH)
    assert failures(cases, check) == []


@pytest.mark.parametrize("plain", [Backend, OAuth2Backend])
def test_plain_defaults_give_nothing_up_wrongly(plain: type[Backend]) -> None:
    """Backends that know nothing of a server wake nobody for its answers without need."""

    def check(case: Case) -> None:
        verdict = made(plain).verdict(case["where"], answer(case)).name
        assert verdict not in GIVES_UP or right(case) & GIVES_UP

    assert failures(CASES, check) == []


def test_token_pair() -> None:
    """The tokens are found where the server puts them."""

    def check(case: Case) -> None:
        pair = own_backend(case).token_pair(case["where"], answer(case), datetime(2026, 11, 23, tzinfo=UTC))
        assert pair.access in json.dumps(case)
        assert pair.refresh in json.dumps(case)

    logins = [case for case in CASES if is_ours(case) and case["outcome"] == "ok" and case["where"] != "api"]
    assert failures(logins, check) == []


def test_each_verdict_occurs() -> None:
    """The cases of our backends leave no verdict out."""
    assert {verdict.name for verdict in Verdict} == set().union(*map(right, filter(is_ours, CASES)))


def test_each_case_has_a_name_of_its_own() -> None:
    """A case is named by its id alone, whichever file it stands in."""
    names = [case["id"] for case in CASES]
    assert sorted(names) == sorted(set(names))
