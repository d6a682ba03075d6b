"""The timeline of a credential, in which what repeats itself is one entry."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from jwt_upstream.admin.timeline import timeline
from jwt_upstream.models import Credential, Event

pytestmark = pytest.mark.django_db


def test_repeats_are_one_entry() -> None:
    """Three hundred refreshes in a row are one entry, which says when they began; what matters stays in sight."""
    row, now = Credential(upstream="crm", account="ann"), timezone.now()
    told = [("logged_in", 400, None), *(("refreshed", 300 - number, 0.042) for number in range(300))]
    told += [("failed", 0, 1.5)]
    Event.objects.bulk_create(
        Event(upstream="crm", account="ann", kind=kind, at=now - timedelta(minutes=ago, seconds=5), seconds=seconds)
        for kind, ago, seconds in told
    )
    Event.objects.create(upstream="crm", account="bea", kind="locked")
    entries = timeline(row)
    assert [(entry.times, entry.took) for entry in entries] == [(1, "1500 ms"), (300, "42 ms"), (1, "")]
    assert re.findall(">([^<]*)</time>", entries[1].when + entries[1].first) == ["65 seconds ago", "5 hours ago"]
    assert entries[0].first == ""


def test_another_reason_is_another_entry() -> None:
    """Failures for different reasons are told apart."""
    for reason in ("HTTP 503", "HTTP 503", "ConnectTimeout"):
        Event.objects.create(upstream="crm", account="ann", kind="failed", reason=reason)
    entries = timeline(Credential(upstream="crm", account="ann"))
    assert [(entry.reason, entry.times) for entry in entries] == [("ConnectTimeout", 1), ("HTTP 503", 2)]
