"""``upstream_prune``: what it deletes, and what it says."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from jwt_upstream.models import Event
from tests.support.commands import Terminal, run

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def old() -> None:
    """An event which is a hundred days old."""
    Event.objects.create(upstream="crm", account="ann", kind="failed", at=timezone.now() - timedelta(days=100))


def test_pruning() -> None:
    """What is old is counted by a dry run, and deleted by the next one."""
    said = "(older than 90 days): events: 1, incidents: 0, repeated refreshes: 0"
    assert run("upstream_prune", "--dry-run")[:2] == (0, f"Would be deleted {said}.\n")
    assert Event.objects.count() == 1
    assert run("upstream_prune")[:2] == (0, f"Deleted {said}.\n")
    assert not Event.objects.exists()


def test_json() -> None:
    """JSON has the same numbers."""
    code, out, _ = run("upstream_prune", "--json")
    assert (code, json.loads(out)) == (
        0,
        {"events": 1, "refreshes": 0, "incidents": 0, "days": 90.0, "dry_run": False},
    )


def test_for_ever(settings: Any) -> None:
    """With None in the settings nothing is deleted."""
    settings.JWT_UPSTREAM_EVENT_DAYS = None
    assert run("upstream_prune")[1] == "JWT_UPSTREAM_EVENT_DAYS is None: all of the history is kept.\n"
    assert Event.objects.count() == 1


def test_progress() -> None:
    """On a terminal a person sees how far it is."""
    err = Terminal()
    call_command("upstream_prune", stdout=io.StringIO(), stderr=err)
    assert "1 row" in err.getvalue()
