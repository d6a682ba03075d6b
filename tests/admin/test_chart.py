"""The chart of refreshes and failures: counted by day, drawn, and said in words."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from jwt_upstream.admin import chart
from jwt_upstream.models import Credential, Event
from jwt_upstream.store import queries

pytestmark = pytest.mark.django_db


def happened(kind: str, days_ago: int, times: int = 1, account: str = "ann") -> None:
    """Store events of some days ago."""
    at = timezone.now() - timedelta(days=days_ago)
    Event.objects.bulk_create(Event(upstream="crm", account=account, kind=kind, at=at) for _ in range(times))


def words(svg: str) -> list[str]:
    """Return what the chart says of each day, without the day's name."""
    (desc,) = re.findall("<desc>(.*)</desc>", svg)
    return [day.partition(": ")[2] for day in desc.split("; ")]


@pytest.mark.parametrize("draw", ["of_account", "of_upstream"])
def test_counts_by_day(draw: str) -> None:
    """Each of the last seven days has its refreshes and failures; other events, accounts and days are not counted."""
    happened("refreshed", 0, 3)
    happened("failed", 0, 1)
    happened("locked", 1, 2)
    happened("logged_in", 1, 5)
    happened("refreshed", 8, 5)
    happened("refreshed", 2, 4, account="bea")
    svg = (
        chart.of_account(Credential(upstream="crm", account="ann"))
        if draw == "of_account"
        else chart.of_upstream("crm")
    )
    others = 4 if draw == "of_upstream" else 0
    assert words(svg) == [
        *["0 refreshes, 0 failures"] * 4,
        f"{others} refreshes, 0 failures",
        "0 refreshes, 2 failures",
        "3 refreshes, 1 failures",
    ]


def test_drawing() -> None:
    """The highest bar takes all of the height, and what is not nothing is seen."""
    happened("refreshed", 0, 100)
    happened("failed", 0)
    bars = re.findall('<rect class="(good|bad)" [^>]*height="([0-9]+)"', chart.of_upstream("crm"))
    assert bars[-2:] == [("good", "60"), ("bad", "2")]
    assert {height for _, height in bars[:-2]} == {"0"}


def test_numbers_are_bounded(monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any) -> None:
    """Days are counted no further than needed, which is said; kinds that did not happen take one query each."""
    monkeypatch.setattr(queries, "COUNT_LIMIT", 3)
    happened("refreshed", 0, 5)
    with django_assert_num_queries(6 + 7):
        assert words(chart.of_upstream("crm"))[-1] == "3+ refreshes, 0 failures"
    with django_assert_num_queries(1):
        assert words(chart.of_account(Credential(upstream="crm", account="ann")))[-1] == "3+ refreshes, 0 failures"


def test_no_inline_style() -> None:
    """A content security policy without inline styles and scripts lets the chart be drawn."""
    assert not re.search(" style=|<style|<script|javascript:", chart.of_upstream("crm"))
