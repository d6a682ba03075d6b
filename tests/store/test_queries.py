"""Queries: one row with the database's clock, the credentials that are due, and those in trouble."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.db import connection
from django.db.models import QuerySet

from jwt_upstream.models import Credential, Event
from jwt_upstream.store import queries
from tests.support.rows import put

USING = "default"
State = Credential.State

pytestmark = pytest.mark.django_db


def test_row_comes_with_the_clock_of_the_database() -> None:
    """One query brings an account's row and the database's time, which no time zone or session changes."""
    put("crm", "ann")
    row = queries.find("crm", "ann", USING)
    assert row
    assert row.clock
    assert abs(row.now().timestamp() - time.time()) < 5
    assert abs(queries.clock(USING).now().timestamp() - time.time()) < 5


def test_accounts_that_resemble_each_other() -> None:
    """Only the account of exactly that name is found, whatever the database's collation takes for equal."""
    put("crm", "ann")
    assert [queries.find("crm", name, USING) for name in ("Ann", "ann ", "änn", "an")] == [None] * 4


def test_row_that_is_gone() -> None:
    """A row that was deleted since is None, not an exception."""
    row = put("crm")
    Credential.objects.all().delete()
    assert queries.reread(row, USING) is None


def test_failing_ones() -> None:
    """Those that could not be refreshed the last time are chosen, without those that need a human."""
    put("crm", "works")
    put("crm", "fails", failures=1)
    put("crm", "locked", failures=1, state=State.LOCKED)
    put("erp", "fails", failures=1)
    assert [row.account for row in queries.failing(Credential.objects.all(), ["crm"])] == ["fails"]


def test_upstreams_without_repetition() -> None:
    """Each upstream is named once and in order, however many credentials it has."""
    for upstream, account in [("erp", "a"), ("crm", "a"), ("crm", "b"), ("erp", "b")]:
        put(upstream, account)
    assert queries.upstreams(Credential.objects.all()) == ["crm", "erp"]


def test_counting_ends_at_a_limit() -> None:
    """Rows are counted no further than somebody wants to know."""
    for account in "abc":
        put("crm", account)
    assert [queries.number(Credential.objects.all(), most) for most in (None, 2, 9)] == [3, 2, 3]


def test_trouble_first() -> None:
    """Credentials are divided by what they need, and each is in one part."""
    accounts: dict[str, dict[str, Any]] = {
        "a": {},
        "b": {"state": State.LOGGED_OUT},
        "c": {"failures": 1},
        "d": {"state": State.UNREADABLE},
        "e": {"state": State.REJECTED, "failures": 1},
        "f": {"state": State.LOCKED},
        "g": {},
    }
    for account, columns in accounts.items():
        put("crm", account, **columns)
    parts = queries.trouble_first(Credential.objects.all())
    assert [[row.account for row in part] for part in parts] == [["f"], ["e"], ["d"], ["c"], ["b"], ["a", "g"]]


def found(text: str, rows: QuerySet[Any] | None = None) -> list[str]:
    rows = Credential.objects.order_by("upstream", "account") if rows is None else rows
    return [str(row) for row in queries.search(rows, text, ["username", "reason"])]


def test_search() -> None:
    """A whole name finds its row alone; words find the rows that have all of them, in whatever case."""
    put("crm", "acme", reason="HTTP 401: Invalid refresh token")
    put("crm", "acme/2", username="jane@example.com")
    put("erp", "acme")
    assert found("crm/acme") == ["crm/acme"]
    assert found("crm/acme/2") == ["crm/acme/2"]
    assert found("acme") == ["crm/acme", "crm/acme/2", "erp/acme"]
    assert found("crm/ac") == ["crm/acme", "crm/acme/2"]
    assert found("INVALID token") == ["crm/acme"]
    assert found("invalid jane") == []
    assert found("jane", Credential.objects.filter(upstream="erp")) == []


def test_search_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more rows are read than the limit, and no more found; those in trouble are read first."""
    monkeypatch.setattr(queries, "COUNT_LIMIT", 3)
    for number in range(5):
        put("crm", f"tenant-{number}")
    put("crm", "zoe-tenant", state=State.LOCKED)
    assert found("tenant") == ["crm/tenant-0", "crm/tenant-1", "crm/zoe-tenant"]
    assert found("tenant-4") == ["crm/tenant-4"]
    monkeypatch.setattr(queries, "MOST_FOUND", 1)
    assert found("tenant") == ["crm/zoe-tenant"]


def test_search_of_events() -> None:
    """The same holds for rows of other models that have an upstream and an account."""
    put("crm", "acme")
    put("erp", "acme")
    assert [event.upstream for event in queries.search(Event.objects.all(), "crm/acme", ["reason"])] == ["crm"]
    assert queries.search(Event.objects.all(), "adopted", ["reason"]).count() == 2


@pytest.mark.parametrize("number", range(6))
def test_parts_are_read_along_an_index(number: int) -> None:
    """The first rows of each part are found by an index, and need not be sorted, except those that fail."""
    if connection.vendor != "sqlite":
        pytest.skip("the planner of other databases reads small tables in another way")
    put("crm")
    plan = queries.trouble_first(Credential.objects.all())[number][:100].explain()
    assert "SCAN" not in plan.replace("SCAN SUBQUERY", "")
    assert number == 3 or "TEMP B-TREE" not in plan
