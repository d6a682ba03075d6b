"""Incidents as rows: at most one is open, and of many workers that open or close it one is to tell."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import pytest
from django.db import IntegrityError, connection, connections, transaction
from django.db.models.signals import post_save

from jwt_upstream.models import Credential, Event, Incident, Notice
from jwt_upstream.store import EventDetails, incidents, queries, transitions
from jwt_upstream.store import connections as own_connections
from jwt_upstream.tokens import TokenPair

T = TypeVar("T")

USING = "default"
URL = "https://up.example.com/refresh"
THREADS = 8


def put(account: str, **columns: Any) -> Credential:
    """Store a credential that logged in a minute ago, and return it as it was read."""
    transitions.log_in("up", account, TokenPair(f"a-{account}", "r"), USING, username="", details=EventDetails())
    Credential.objects.filter(account=account).update(**columns)
    row = queries.find("up", account, USING)
    assert row is not None
    return row


def failing(account: str, verdict: str = "transient", seconds: float = 0.0) -> Credential:
    """Store a credential whose refresh has failed, for so many seconds."""
    row = put(account)
    since = row.now() - timedelta(seconds=seconds)
    return put(account, failures=1, failing_since=since, failure="HTTP 503", failure_verdict=verdict)


def refreshed(row: Credential) -> tuple[Event, Credential]:
    """Store a new pair; return the event and the row as it is now."""
    event = transitions.settle_pair(row, TokenPair("new", "new"), USING, Event.Kind.REFRESHED, EventDetails())
    assert event is not None
    assert event.credential is not None
    return event, event.credential


def at_once(works: Iterable[Callable[[], T]]) -> list[T]:
    """Do all of these at the same moment, as workers do that each have a connection; return the results."""
    started, results = list(works), list[T]()
    barrier = threading.Barrier(len(started))

    def work(one: Callable[[], T]) -> None:
        barrier.wait()
        try:
            results.append(own_connections.write_with_retry(one, USING, 20))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=(one,)) for one in started]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == len(threads)
    return results


@pytest.mark.parametrize("account", ["", "ann"])
def test_database_allows_one_open_incident(transactional_db: None, account: str) -> None:
    """A second open incident of the same upstream or credential is refused; closed ones may be any number."""
    for _ in range(2):
        Incident.objects.create(upstream="up", account=account, kind="down", is_open=None)
    Incident.objects.create(upstream="up", account=account, kind="down")
    Incident.objects.create(upstream="other", account=account, kind="down")
    Incident.objects.create(upstream="up", account="Ann", kind="failing")
    with pytest.raises(IntegrityError), transaction.atomic():
        Incident.objects.create(upstream="up", account=account, kind="misconfigured")


def test_open_ones_first(transactional_db: None) -> None:
    """The open incidents are listed before those that are over, on every database."""
    for is_open in (True, None, True, None):
        Incident.objects.create(upstream=f"up{Incident.objects.count()}", kind="down", is_open=is_open)
    assert [incident.is_open for incident in Incident.objects.all()] == [True, True, None, None]


def test_many_workers_that_find_an_upstream_down(transactional_db: None, settings: Any) -> None:
    """Of many workers that each see another credential fail one tells, and there is one incident, of them all."""
    settings.JWT_UPSTREAM_OUTAGE_SECONDS = 0
    rows = [failing(f"account-{number}") for number in range(THREADS)]
    # Never the same moment, by which a write is recognized that is repeated.
    moments = [rows[0].now() + timedelta(microseconds=number) for number in range(THREADS)]
    told = at_once(
        [partial(incidents.note_failure, row, URL, now, USING) for row, now in zip(rows, moments, strict=True)]
    )
    (incident,) = filter(None, told)
    assert incident == Incident.objects.get()
    assert Incident.objects.get().concerns.startswith(f"{THREADS} of {THREADS} accounts at up, among them account-")


def test_many_workers_that_find_an_upstream_works(transactional_db: None, settings: Any) -> None:
    """Of many workers that each refresh another credential one tells that the upstream works again."""
    settings.JWT_UPSTREAM_OUTAGE_SECONDS = 0
    rows = [failing(f"account-{number}") for number in range(THREADS)]
    for row in rows[:2]:
        incidents.note_failure(row, URL, row.now(), USING)
    Credential.objects.update(worked_at=None)
    events = [refreshed(row) for row in rows]

    def close(event: Event, row: Credential) -> list[Incident | None]:
        row.worked_at = row.obtained_at
        return [incidents.close(found, event, row, row.now(), USING) for found in incidents.find(row, USING)]

    told = at_once([partial(close, event, row) for event, row in events])
    assert [incident.account for each in told for incident in each if incident] == [""]
    incident = Incident.objects.get()
    assert incident.closed_at == incident.recovery_notified_at is not None


def test_many_workers_that_find_an_account_locked(transactional_db: None) -> None:
    """Of many workers that mark the same credential one tells."""
    row = put("ann")
    details = EventDetails("Account is disabled.")
    events = at_once([lambda: transitions.mark(row, "locked", USING, details)] * THREADS)
    assert [event.incident for event in events if event] == [Incident.objects.get()]


def test_newer_finding_is_not_closed(transactional_db: None) -> None:
    """A worker that announces its refresh late leaves the incident which the new tokens have led to meanwhile."""
    row = put("ann")
    assert transitions.mark(row, "rejected", USING, EventDetails("no")) is not None
    transitions.restore(Credential.objects.get(), USING, EventDetails("tried again"))
    event, after = refreshed(Credential.objects.get())
    assert transitions.mark(after, "locked", USING, EventDetails("Account is disabled.")) is not None
    (incident,) = incidents.find(after, USING)
    assert incidents.close(incident, event, after, after.now(), USING) is None
    assert (Incident.objects.get().kind, Incident.objects.get().is_open) == ("locked", True)


def test_incident_that_is_told_while_it_is_closed(transactional_db: None, settings: Any) -> None:
    """What another worker has told since it was read is closed by the next success, which tells that as well."""
    row = failing("ann")
    assert incidents.note_failure(row, URL, row.now(), USING) is None
    event, after = refreshed(row)
    (incident,) = incidents.find(after, USING)
    Incident.objects.update(notified_at=row.now())
    assert incidents.close(incident, event, after, after.now(), USING) is None
    (incident,) = incidents.find(after, USING)
    assert incidents.close(incident, event, after, after.now(), USING) == incident
    assert incident.recovery_notified_at == incident.closed_at


def test_incident_that_is_closed_while_it_is_told(transactional_db: None, settings: Any) -> None:
    """What another worker's success has closed is neither told nor opened again."""
    settings.JWT_UPSTREAM_OUTAGE_SECONDS = 0
    row = failing("ann")

    def close(execute: Any, sql: str, *arguments: Any) -> Any:
        if "COUNT(" in sql:
            Incident.objects.update(is_open=None, closed_at=row.now())
        return execute(sql, *arguments)

    with connection.execute_wrapper(close):
        assert incidents.note_failure(row, URL, row.now(), USING) is None
    assert (Incident.objects.get().is_open, Incident.objects.get().notified_at) == (None, None)


@pytest.mark.parametrize("is_told", [False, True])
def test_only_one_that_has_an_incident_of_its_own(transactional_db: None, settings: Any, is_told: bool) -> None:
    """An upstream's incident of one credential that has its own ends with another's success, told if it was told."""
    settings.JWT_UPSTREAM_OUTAGE_SECONDS = 0 if is_told else 300
    row, other = failing("ann"), put("bea")
    assert bool(incidents.note_failure(row, URL, row.now(), USING)) == is_told
    assert transitions.mark(row, "locked", USING, EventDetails("Account is disabled.")) is not None
    Notice.objects.update(kind=Notice.Kind.REMINDER)
    event, after = refreshed(other)
    (whole,) = incidents.find(after, USING)
    assert incidents.close(whole, event, after, after.now(), USING) == (whole if is_told else None)
    assert bool(Incident.objects.get(account="").recovery_notified_at) == is_told
    assert list(Notice.objects.filter(account="").values_list("kind", flat=True)) == ["recovered"] * is_told
    assert [(found.account, found.kind) for found in Incident.objects.filter(is_open=True)] == [("ann", "locked")]


def test_locked_one_that_was_tried_again_alone(transactional_db: None, settings: Any) -> None:
    """A credential that needed a human and now fails for now, while others work, has one incident, told already."""
    row = put("ann")
    assert transitions.mark(row, "locked", USING, EventDetails("Account is disabled.")) is not None
    row = put("ann", state="active", failures=1, failing_since=row.now(), failure="HTTP 503")
    put("bea", worked_at=row.now())
    assert incidents.note_failure(row, URL, row.now(), USING) is None
    assert [(found.account, found.kind) for found in Incident.objects.all()] == [("ann", "locked")]


@pytest.mark.parametrize(
    ("others", "concerns"), [(0, "the only account at up (ann)"), (1, "1 of 2 accounts at up: ann")]
)
def test_whom_it_concerns(transactional_db: None, others: int, concerns: str) -> None:
    """An incident says how many of how many accounts it concerned when it was told."""
    for number in range(others):
        put(f"other-{number}")
    row = failing("ann", "config")
    told = incidents.note_failure(row, URL, row.now(), USING)
    assert told is not None
    assert (told.concerns, told.url, told.reason) == (concerns, URL, "HTTP 503")


def test_two_that_fail_at_the_same_moment(transactional_db: None) -> None:
    """Whoever opens an incident doesn't make it their own again if another credential has failed meanwhile."""
    ann, bob = failing("ann"), failing("bob")

    def fail_meanwhile(created: bool, **_: Any) -> None:
        if created:
            incidents.note_failure(bob, URL, bob.now(), USING)

    post_save.connect(fail_meanwhile, sender=Incident)
    try:
        incidents.note_failure(ann, URL, ann.now(), USING)
    finally:
        post_save.disconnect(fail_meanwhile, sender=Incident)
    assert Incident.objects.get().credential is None
