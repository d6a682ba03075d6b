"""Queries: one row with the database's clock, the credentials that are due, and those in trouble."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from jwt_upstream.models import Credential
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


def due(limit: int = 9) -> list[str]:
    now = timezone.now()
    keys = queries.due("crm", now, now + timedelta(minutes=1), limit, USING)
    return [Credential.objects.get(pk=key).account for key in keys]


def test_due_ones_in_order() -> None:
    """The nearest expiry comes first, then those that failed before, and nobody during the backoff."""
    now = timezone.now()
    put("crm", "later", access_expires_at=now + timedelta(seconds=30))
    put("crm", "soon", access_expires_at=now)
    put("crm", "failed", access_expires_at=now, failures=1, next_attempt_at=now - timedelta(seconds=1))
    put("crm", "waits", access_expires_at=now, failures=1, next_attempt_at=now + timedelta(hours=1))
    put("crm", "fresh", access_expires_at=now + timedelta(hours=1))
    put("crm", "locked", access_expires_at=now, state=State.LOCKED)
    put("erp", "soon", access_expires_at=now)
    assert due() == ["soon", "later", "failed"]
    assert due(2) == ["soon", "later"]
    assert due(1) == ["soon"]


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
