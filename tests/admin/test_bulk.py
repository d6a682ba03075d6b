"""Doing something to many credentials: in bounded time, and told in one message."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from django.db import connection, connections

from jwt_upstream.admin import bulk
from jwt_upstream.exceptions import RefreshUnavailable
from jwt_upstream.models import Credential

ROWS = [Credential(upstream="crm", account=f"tenant-{number}") for number in range(58)]


def test_all_done() -> None:
    """Where all works there is one number."""
    summary = bulk.do_each(str, ROWS)
    assert summary.is_complete
    assert summary.text("58 refreshed") == "58 refreshed."


def test_some_failed() -> None:
    """One message says how many failed, and of some of them why."""

    def work(row: Credential) -> str:
        if row.account.startswith("tenant-1"):
            raise RefreshUnavailable(f"{row}: HTTP 503")
        return ""

    summary = bulk.do_each(work, ROWS)
    assert not summary.is_complete
    assert summary.text("47 refreshed") == (
        "47 refreshed, 11 failed: crm/tenant-1: HTTP 503; crm/tenant-10: HTTP 503; crm/tenant-11: HTTP 503; "
        "crm/tenant-12: HTTP 503; crm/tenant-13: HTTP 503; and 6 more."
    )


def test_bounded_time(monkeypatch: pytest.MonkeyPatch, gate: threading.Event) -> None:
    """When the time is over the page answers: what is under way goes on, and what was not begun is not begun."""
    monkeypatch.setattr(bulk, "SECONDS", 0.2)
    begun: list[str] = []

    def work(row: Credential) -> str:
        begun.append(row.account)
        gate.wait(20)
        return ""

    began = time.monotonic()
    summary = bulk.do_each(work, ROWS)
    assert time.monotonic() - began < 5
    assert (summary.under_way, summary.left, len(begun)) == (bulk.THREADS, 58 - bulk.THREADS, bulk.THREADS)
    text = summary.text("0 refreshed")
    assert text == "0 refreshed, 8 still under way, 50 not begun within 0 seconds: select them again."
    gate.set()
    time.sleep(0.05)  # for a wrong one to begin
    assert len(begun) == bulk.THREADS


def test_bug_in_a_thread() -> None:
    """What nobody foresaw is told by its class alone, since its message may hold anything."""

    def work(row: Credential) -> str:
        raise KeyError("hunter2")

    summary = bulk.do_each(work, ROWS[:2])
    assert summary.failed == ["crm/tenant-0: KeyError", "crm/tenant-1: KeyError"]


def test_threads_follow_the_tenant(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each tenant has a schema, it is done in that of whoever asks for it, however many are selected."""
    looks: list[Any] = []
    # What connections of django-tenants have; tests/system/test_tenants.py does the same with the real ones.
    monkeypatch.setattr(type(connections["default"]), "set_schema", looks.append, raising=False)
    monkeypatch.setattr(connection, "schema_name", "acme", raising=False)
    assert bulk.do_each(str, ROWS[:2]).is_complete
    assert len(looks) == 2
