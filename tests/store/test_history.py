"""The history: what an event says of a row, and what fits its columns."""

from __future__ import annotations

import os
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.db import transaction

from jwt_upstream.models import Credential, Event
from jwt_upstream.store import EventDetails, history
from jwt_upstream.tokens import fingerprint
from tests.support.rows import put

USING = "default"

pytestmark = pytest.mark.django_db


def recorded(row: Credential, reason: str = "", by: str = "") -> Event:
    event = history.record(row, row, USING, Event.Kind.REFRESHED, EventDetails(reason, "ok", by=by))
    return Event.objects.get(pk=event.pk)


def test_event_of_a_row() -> None:
    """An event has the row's names and states, and fingerprints in place of its tokens."""
    row = put("crm", "ann")
    event = recorded(row, reason="said so", by="ann at the admin")
    assert (event.upstream, event.account, event.state_before, event.state) == ("crm", "ann", "active", "active")
    assert (event.access_fingerprint, event.refresh_fingerprint) == (
        fingerprint(row.pair.access),
        fingerprint(row.pair.refresh),
    )
    assert event.by.startswith("ann at the admin (")
    assert event.by.endswith(f":{os.getpid()})")
    assert row.pair.access not in str(vars(event))


@pytest.mark.parametrize("reason", ["x" * 600, "ä" * 600, "with \0 in it", "🔒" * 501])
def test_reason_of_any_length(reason: str) -> None:
    """Whatever an upstream says fits the column on every database."""
    assert recorded(put("crm"), reason=reason).reason == reason.replace(" \0 ", " ")[:500]


def test_long_name_of_who_asked() -> None:
    """A long name of who asked leaves room for the process."""
    assert recorded(put("crm"), by="x" * 300).by.endswith(f":{os.getpid()})")


def test_words_of_whoever_asked() -> None:
    """Neither a reason nor a name that somebody chose can be stored as more than a line of printable text."""
    event = recorded(put("crm"), "stolen\r\n\x1b[2Kok", by="ann\u202e\0@example.com")
    assert (event.reason, event.by.partition(" (")[0]) == ("stolen [2Kok", "ann @example.com")


def test_event_of_an_unreadable_row(settings: Any) -> None:
    """A row that no key opens has an event of which the fingerprints say no more than that there is no token."""
    row = put("crm")
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    assert recorded(row).access_fingerprint == fingerprint("")


def test_commit_whose_acknowledgement_was_lost() -> None:
    """An event that was committed is found again; one that was rolled back is not."""
    row = put("crm")
    history.forget_recorded()
    assert history.committed_after_all(USING) is None
    event = history.record(row, row, USING, Event.Kind.REFRESHED, EventDetails())
    assert history.committed_after_all(USING) == event
    with pytest.raises(RuntimeError), transaction.atomic():
        history.record(row, row, USING, Event.Kind.REFRESHED, EventDetails())
        raise RuntimeError
    assert history.committed_after_all(USING) is None
