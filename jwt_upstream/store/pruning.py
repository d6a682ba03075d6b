"""Deletes history that is old: by an index, in small batches, and never what explains an incident that is open."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from jwt_upstream.models import Event, Incident

from .queries import clock

Kind = Event.Kind

#: How many rows are deleted in one transaction.
BATCH = 500
#: After how long one refresh a day is enough of a credential's history.
THINNED_AFTER = timedelta(days=7)

_DAY = timedelta(days=1)
_REPEATED = [Kind.REFRESHED, Kind.FAILED]


@dataclass
class Pruned:
    """How many rows were deleted, or would be: old events, refreshes of which one a day is kept, closed incidents."""

    events: int = 0
    refreshes: int = 0
    incidents: int = 0


def prune(days: float, using: str, *, thinned_days: int | None = None, dry_run: bool = False) -> Iterator[Pruned]:
    """Delete what is older than so many days; yield what has been deleted so far after each batch.

    Of the refreshes that are older than a week the last one of each day (in UTC) is kept. With ``thinned_days`` only
    those of the last so many days before that are looked at, which is enough for who comes by each day. Whoever stops
    iterating stops the deletion. Several workers may do this at once.
    """
    now, counts = clock(using).now(), Pruned()
    before = now - timedelta(days=days)
    for name, rows, moment in _old(before, now - THINNED_AFTER, thinned_days, using):
        for keys in _batches(rows, moment):
            if not dry_run:
                rows.model._base_manager.using(using).filter(pk__in=keys).delete()
            setattr(counts, name, getattr(counts, name) + len(keys))
            yield counts


def _old(
    before: datetime, thinned: datetime, thinned_days: int | None, using: str
) -> Iterator[tuple[str, QuerySet[Any], str]]:
    events, incidents = Event.objects.using(using), Incident.objects.using(using)
    yield "events", events.filter(~_explains_an_incident(using), at__lt=before), "at"
    first = before if thinned_days is None else max(before, thinned - thinned_days * _DAY)
    first = _oldest(events.filter(at__gte=first), thinned)
    while first < thinned:
        # Whole days, so that each day keeps the same one whenever this is done.
        end = datetime(first.year, first.month, first.day, tzinfo=UTC) + _DAY
        if end <= thinned:
            yield "refreshes", _repeated(events, first, end), "at"
        first = end
    yield "incidents", incidents.filter(is_open=None, closed_at__lt=before), "closed_at"


def _oldest(events: QuerySet[Event], default: datetime) -> datetime:
    """Return when the oldest event was: no day before that has to be looked at."""
    return events.order_by("at").values_list("at", flat=True).first() or default


def _explains_an_incident(using: str) -> Q:
    # When it began, and what was done about it; not each of the failures since.
    its = Incident.objects.using(using).filter(
        upstream=OuterRef("upstream"), account__in=["", OuterRef("account")], is_open=True
    )
    its = its.order_by()
    began = Q(Exists(its.filter(opened_at__gte=OuterRef("at"))), kind=Kind.FAILED)
    return began | (~Q(kind__in=_REPEATED) & Q(Exists(its)))


def _repeated(events: QuerySet[Event], first: datetime, end: datetime) -> QuerySet[Event]:
    refreshed = events.filter(kind=Kind.REFRESHED, at__lt=end)
    later = refreshed.filter(upstream=OuterRef("upstream"), account=OuterRef("account"), at__gt=OuterRef("at"))
    return refreshed.filter(Exists(later.order_by()), at__gte=first)


def _batches(rows: QuerySet[Any], moment: str) -> Iterator[list[int]]:
    """Yield the keys of rows in the order of an index; each batch begins where the last one has ended."""
    rows = rows.order_by(moment, "pk")
    rest = rows
    while found := list(rest.values_list("pk", moment)[:BATCH]):
        yield [key for key, _ in found]
        key, last = found[-1]
        after = Q(**{f"{moment}__gt": last}) | Q(**{moment: last}, pk__gt=key)
        rest = rows.filter(after, **{f"{moment}__gte": last})
