"""Pruning of the history: what is old goes, in batches and by an index; what explains an open incident stays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jwt_upstream.models import Event, Incident
from jwt_upstream.store import pruning
from jwt_upstream.store.pruning import Pruned, prune

pytestmark = pytest.mark.django_db

USING = "default"


def ago(days: float) -> datetime:
    return timezone.now() - timedelta(days=days)


def event(days: float, kind: str = "logged_in", account: str = "ann", **columns: Any) -> Event:
    return Event.objects.create(upstream="crm", account=account, at=ago(days), kind=kind, **columns)


def incident(days: float, account: str = "ann", **columns: Any) -> Incident:
    moments = {"since": ago(days), "opened_at": ago(days)}
    return Incident.objects.create(upstream="crm", account=account, kind="locked", **moments | columns)


def pruned(**options: Any) -> Pruned:
    return [Pruned(), *prune(90, USING, **options)][-1]


def ages(**columns: Any) -> list[int]:
    return [round((timezone.now() - each.at).total_seconds() / 86400) for each in Event.objects.filter(**columns)]


def test_old_ones() -> None:
    """Events and closed incidents go when they are old enough, and nothing else."""
    event(91)
    event(89)
    incident(200, closed_at=ago(91), is_open=None)
    incident(200, closed_at=ago(89), is_open=None)
    incident(200, "bob")
    assert pruned(dry_run=True) == Pruned(events=1, incidents=1)
    assert (Event.objects.count(), Incident.objects.count()) == (2, 3)
    assert pruned() == Pruned(events=1, incidents=1)
    assert ages() == [89]
    assert Incident.objects.count() == 2
    assert pruned() == Pruned()


@pytest.mark.parametrize("account", ["ann", ""])
def test_open_incident(account: str) -> None:
    """What an open incident began with and what was done about it stays, of the account or of the whole upstream.

    Each refresh that has failed since does not.
    """
    event(101, "failed")
    event(100, "locked")
    event(99, "failed")
    event(98, "refreshed")
    event(97, "restored")
    event(100, "locked", account="bob")
    incident(100, account)
    pruned()
    assert ages(account="ann") == [97, 100, 101]
    assert ages(account="bob") == ([] if account else [100])
    Incident.objects.update(is_open=None, closed_at=timezone.now())
    pruned()
    assert ages() == []


def test_repeated_refreshes() -> None:
    """Of refreshes that are older than a week the last of each day stays, for each account; other events stay too."""
    today = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    for days, hour, account, kind in [
        (9, 1, "ann", "refreshed"),
        (9, 2, "ann", "refreshed"),
        (9, 3, "ann", "refreshed"),
        (9, 1, "bob", "refreshed"),
        (9, 0, "ann", "failed"),
        (20, 1, "ann", "refreshed"),
        (20, 2, "ann", "refreshed"),
        (3, 1, "ann", "refreshed"),
        (3, 2, "ann", "refreshed"),
    ]:
        at = today - timedelta(days=days) + timedelta(hours=hour)
        Event.objects.create(upstream="crm", account=account, at=at, kind=kind)
    assert pruned(thinned_days=4) == Pruned(refreshes=2)
    assert pruned() == Pruned(refreshes=1)
    left = [
        (each.account, (today - each.at).days, each.at.hour - 12) for each in Event.objects.filter(kind="refreshed")
    ]
    assert sorted(left) == [("ann", 2, 1), ("ann", 2, 2), ("ann", 8, 3), ("ann", 19, 2), ("bob", 8, 1)]
    assert pruned() == Pruned()


def test_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever stops asking stops the deletion; rows of one moment are counted once even if nothing is deleted."""
    monkeypatch.setattr(pruning, "BATCH", 2)
    moment = ago(100)
    for _ in range(5):
        Event.objects.create(upstream="crm", account="ann", at=moment, kind="failed")
    assert [counts.events for counts in prune(90, USING, dry_run=True)][-1] == 5
    next(prune(90, USING))
    assert Event.objects.count() == 3


def test_days_without_a_history() -> None:
    """However long the history is kept, days of which there is none cost nothing."""
    event(40)
    with CaptureQueriesContext(connection) as queries:
        list(prune(36_500, USING))
    assert len(queries) < 40


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_many_events() -> None:
    """Of 20 000 events the old half goes in batches, each found and deleted by an index."""
    moment, half = ago(95), 10_000
    moments = [moment - timedelta(seconds=n) for n in range(half)] + [ago(n / half) for n in range(half)]
    rows = [Event(upstream="crm", account=f"a{n % 50}", at=at, kind="failed") for n, at in enumerate(moments)]
    Event.objects.bulk_create(rows, batch_size=500)
    incident(100, "a1")
    with connection.cursor() as cursor:
        cursor.execute(("ANALYZE TABLE " if connection.vendor == "mysql" else "ANALYZE ") + Event._meta.db_table)
    found = Event.objects.filter(~pruning._explains_an_incident(USING), at__lt=ago(90)).order_by("at", "pk")
    plan = str(found.values_list("pk", "at")[: pruning.BATCH].explain())
    assert "jwt_upstream_event_latest" in plan, plan
    with CaptureQueriesContext(connection) as queries:
        assert pruned().events == half
    deletions = [query["sql"] for query in queries if query["sql"].startswith("DELETE")]
    assert len(deletions) == half / pruning.BATCH
    assert len(queries) < 4 * len(deletions) + 2 * 90  # with those that begin and end transactions
    assert Event.objects.count() == half
