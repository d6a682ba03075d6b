"""Where servers put tokens and lifetimes: the ``fields`` of wire_cases/, found by paths alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from jwt_upstream import testing
from jwt_upstream.backends import Backend
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
