"""Compare-and-swap: whoever comes with a row that has moved on writes nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError
from django.utils import timezone

from jwt_upstream.models import Credential, Event
from jwt_upstream.store import EventDetails, new_lease, transitions
from jwt_upstream.tokens import TokenPair

State = Credential.State
Kind = Event.Kind
USING = "default"


@pytest.fixture
def row(transactional_db: None) -> Credential:
    """A credential as a worker has read it."""
    event = transitions.log_in("up", "default", TokenPair("a1", "r1"), USING, username="bob", details=EventDetails())
    Event.objects.all().delete()
    assert event.credential is not None
    return event.credential


STALE: dict[str, Callable[[Credential], Any]] = {
    "take_lease": lambda row: transitions.take_lease(row, new_lease(), USING),
    "settle_pair": lambda row: transitions.settle_pair(
        row, TokenPair("a3", "r3"), USING, Kind.REFRESHED, EventDetails()
    ),
    "settle_refusal": lambda row: transitions.settle_refusal(row, State.REJECTED, USING, EventDetails("no")),
    "settle_failure": lambda row: transitions.settle_failure(
        row, 1.0, USING, EventDetails("no", "transient"), is_ambiguous=False
    ),
    "release_lease": lambda row: transitions.release_lease(row, USING),
    "mark": lambda row: transitions.mark(row, State.LOCKED, USING, EventDetails("no")),
    "mark_unreadable": lambda row: transitions.mark_unreadable(row, 60.0, USING, EventDetails("no")),
    "note_readable": lambda row: transitions.note_readable(row, USING),
    "restore": lambda row: transitions.restore(row, USING, EventDetails("no")),
    "suppress_refresh": lambda row: transitions.suppress_refresh(row, 60.0, USING),
    "log_out": lambda row: transitions.log_out(row, USING, EventDetails()),
}


@pytest.mark.parametrize("writing", STALE)
def test_row_has_moved_on(row: Credential, writing: str) -> None:
    """Nothing is written, and no event recorded, by who comes with an older generation."""
    transitions.settle_pair(row, TokenPair("a2", "r2"), USING, Kind.REFRESHED, EventDetails())
    before = Credential.objects.values().get()
    assert STALE[writing](row) is None
    assert Credential.objects.values().get() == before
    assert Event.objects.count() == 1


def test_lease_is_exclusive(row: Credential) -> None:
    """Of two who have read the same row one gets the lease."""
    leased = transitions.take_lease(row, new_lease(), USING)
    assert leased is not None
    assert leased[0].is_leased(timezone.now())
    assert transitions.take_lease(row, new_lease(), USING) is None


def test_lease_of_a_credential_that_failed_meanwhile(row: Credential) -> None:
    """An attempt of another worker, which came and failed since the row was read, has its backoff kept."""
    leased = transitions.take_lease(row, new_lease(), USING)
    assert leased is not None
    STALE["settle_failure"](leased[0])
    assert transitions.take_lease(row, new_lease(), USING) is None
    assert transitions.take_lease(Credential.objects.get(), new_lease(), USING) is not None


def test_lease_of_a_credential_that_is_suppressed_meanwhile(row: Credential) -> None:
    """A fresh token that did not help is not refreshed by a worker which read the row before that was known."""
    transitions.suppress_refresh(row, 60.0, USING)
    assert transitions.take_lease(row, new_lease(), USING) is None
    assert transitions.take_lease(Credential.objects.get(), new_lease(), USING) is not None


def test_lease_of_a_credential_in_need(row: Credential) -> None:
    """What was rejected since it was read isn't leased."""
    transitions.mark(row, State.REJECTED, USING, EventDetails("no"))
    assert transitions.take_lease(row, new_lease(), USING) is None


def test_lapsed_lease_is_taken_over_once(row: Credential) -> None:
    """Of two who have read a lapsed lease one takes over, and one event says so."""
    past = timezone.now() - timedelta(seconds=1)
    Credential.objects.update(lease="dead", lease_expires_at=past)
    row.refresh_from_db()
    taken = transitions.take_lease(row, new_lease(), USING)
    assert taken is not None
    assert taken[0].interrupted_at == past
    assert transitions.take_lease(row, new_lease(), USING) is None
    assert [event.kind for event in Event.objects.all()] == ["interrupted"]


def test_refusal_without_the_lease(row: Credential) -> None:
    """A worker whose lease lapsed and was taken over can't mark the credential."""
    leased = transitions.take_lease(row, new_lease(), USING)
    assert leased is not None
    Credential.objects.update(lease="another")
    assert transitions.settle_refusal(leased[0], State.REJECTED, USING, EventDetails("no")) is None
    assert STALE["settle_failure"](leased[0]) is None
    assert Credential.objects.get().state == "active"


def test_pair_without_the_lease(row: Credential) -> None:
    """A worker that was frozen past its lease still stores its pair, the newest there is."""
    leased = transitions.take_lease(row, new_lease(), USING)
    assert leased is not None
    Credential.objects.update(lease="another")
    assert transitions.settle_pair(leased[0], TokenPair("a2", "r2"), USING, Kind.REFRESHED, EventDetails()) is not None
    assert Credential.objects.get().pair.refresh == "r2"


def test_failure_keeps_the_tokens(row: Credential) -> None:
    """A refused pair stays stored, for diagnosis; only an ambiguous failure counts as an interruption."""
    transitions.settle_failure(row, 5.0, USING, EventDetails("gone", "transient"), is_ambiguous=True)
    after = Credential.objects.get()
    assert after.interrupted_at is not None
    transitions.mark(after, State.REJECTED, USING, EventDetails("no"))
    assert Credential.objects.get().pair == TokenPair("a1", "r1")


def test_since_is_when_the_state_changed(row: Credential) -> None:
    """A new pair for an active credential doesn't change since when it has been active."""
    transitions.settle_pair(row, TokenPair("a2", "r2"), USING, Kind.REFRESHED, EventDetails())
    assert Credential.objects.get().since == row.since
    failed = transitions.mark(Credential.objects.get(), State.LOCKED, USING, EventDetails("no"))
    assert failed is not None
    transitions.log_in("up", "default", TokenPair("a3"), USING, username="bob", details=EventDetails())
    assert Credential.objects.get().since > failed.at


def test_row_that_is_never_inserted(transactional_db: None) -> None:
    """What the database refuses of a new row is told, and not taken for somebody else's row, to be tried again."""
    with pytest.raises(IntegrityError):
        transitions.add("up", "new", {"username": None}, USING, EventDetails(), is_active=True)
