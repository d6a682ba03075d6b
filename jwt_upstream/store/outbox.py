"""The outbox: what each notifier is to tell, written with the change it tells of, and told by one worker at a time.

A worker takes notices by one UPDATE, which names it and puts off when they are due: of many workers one gets them, on
any database and without a lock, and if it dies they are due again after a while.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import uuid4

from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet
from django.dispatch import Signal

from jwt_upstream.clock import Clock
from jwt_upstream.conf import conf
from jwt_upstream.models import Credential, Incident, Notice
from jwt_upstream.process import random_numbers

from . import queries

Kind = Notice.Kind

#: Sent by whoever comes by, after commits and at no fixed times; ``is_written`` says that there is something new to
#: tell. Receivers must return at once.
passed = Signal()

_REMINDER = timedelta(days=1)
#: How far ahead of its time a reminder is told together with one that is due; below the time between two of them.
_REMINDERS_TOGETHER = timedelta(hours=23)
#: Seconds until what could not be told is tried again: doubled with each attempt, up to the second.
_RETRY_SECONDS = (30.0, 3600.0)
#: How long what is for a notifier that no process has configured is kept.
_ABANDONED = timedelta(days=7)
_EXPIRY = ("upstream", "account", "expires_at")
#: How many incidents a message names.
MOST_NAMED = 20


class Group(NamedTuple):
    """What is told in one message."""

    notifier: str
    upstream: str
    kind: str


@dataclass(frozen=True)
class Batch:
    """The notices of one message, which this worker alone tells for a while.

    ``notices`` are the first of them, with their incidents; ``counts`` says how many there are of each kind of
    incident.
    """

    group: Group
    teller: str
    clock: Clock
    notices: list[Notice]
    counts: Mapping[str, int]
    attempts: int


# -- writing, in the transaction that changes the incident


def tell(incident: Incident, moment: datetime, using: str, *, again: bool = False) -> None:
    """Have an incident told by every notifier; ``again`` if they may have told it already as a lesser one."""
    due_at = moment + timedelta(seconds=conf.notify_after_seconds)
    if again:
        rows = _of(incident, using)
        rows.exclude(kind=Kind.OPENED, teller="").update(was_told=True)
        rows.update(kind=Kind.OPENED, due_at=due_at, teller="", attempts=0, error="")
    about = {"upstream": incident.upstream, "account": incident.account, "incident": incident}
    new = [Notice(notifier=name, kind=Kind.OPENED, due_at=due_at, **about) for name in conf.notifiers]
    _rows(using).bulk_create(new, ignore_conflicts=True)


def tell_recovery(incident: Incident, moment: datetime, using: str) -> None:
    """Have the end of an incident told by every notifier that has told, or is telling, that it began."""
    due_at = moment + timedelta(seconds=conf.notify_after_seconds)
    # Locked: whoever tells it at this moment changes the same rows when that is done.
    for notice in _of(incident, using).select_for_update():
        if notice.kind == Kind.OPENED and not (notice.teller or notice.was_told):
            notice.delete(using=using)
        else:
            notice.kind, notice.due_at = Kind.RECOVERED, notice.due_at if notice.teller else due_at
            notice.save(using=using, update_fields=["kind", "due_at"])


def forget(incident: Incident, using: str) -> None:
    """Have nothing more told of an incident."""
    _of(incident, using).delete()


def is_soon(expires_at: datetime, now: datetime) -> bool:
    """Tell whether an expiry is near enough to be told of."""
    return expires_at - now <= timedelta(days=conf.expiry_warning_days)


def warn(upstream: str, account: str, expires_at: datetime, moment: datetime, using: str) -> bool:
    """Have an expiry told by every notifier, each once; tell whether there is anything new to tell."""
    about = {"upstream": upstream, "account": account, "expires_at": expires_at}
    known = set(_rows(using).filter(**about).values_list("notifier", flat=True))
    due_at = moment + timedelta(seconds=conf.notify_after_seconds)
    missing = [name for name in conf.notifiers if name not in known]
    new = [Notice(notifier=name, kind=Kind.EXPIRING, due_at=due_at, **about) for name in missing]
    _rows(using).bulk_create(new, ignore_conflicts=True)
    return bool(new)


# -- telling


def due(names: Collection[str], using: str, ahead: float = 0.0) -> Iterator[Group]:
    """Return what is to be told now, or within so many seconds, by these notifiers; by one look at an index."""
    is_due = _is_due(queries.clock(using).now(), ahead)
    rows = _rows(using).filter(is_due).order_by("notifier", "upstream", "kind")
    found = rows.values_list("notifier", "upstream", "kind").distinct()
    return (Group(*columns) for columns in found if columns[0] in names)


def next_due(names: Collection[str], using: str) -> float | None:
    """Return in how many seconds something is due to be told, reminders excepted; None if there is nothing."""
    rows = _rows(using).filter(notifier__in=list(names), due_at__isnull=False).exclude(kind=Kind.REMINDER)
    first = rows.order_by("due_at").values_list("due_at", flat=True).first()
    return None if first is None else (first - queries.clock(using).now()).total_seconds()


def take(group: Group, seconds: float, using: str, ahead: float = 0.0) -> Batch | None:
    """Take what a group has to tell for so many seconds; None if another worker was faster."""
    clock, teller = queries.clock(using), uuid4().hex
    now = clock.now()
    rows = _rows(using).filter(**group._asdict())
    if group.kind == Kind.REMINDER:
        _put_off(rows, now)
    if group.kind == Kind.EXPIRING:
        _drop_outdated(rows)
    is_due = _is_due(now, ahead)
    if not rows.filter(is_due).exists():
        return None
    taken = rows.filter(is_due | Q(teller="", due_at__lte=now + _together(group)))
    taken.update(teller=teller, due_at=now + timedelta(seconds=seconds))
    return _batch(group, teller, clock, using)


def _is_due(now: datetime, ahead: float) -> Q:
    # What somebody is telling is due again once he has had his time, and not before.
    return Q(due_at__lte=now + timedelta(seconds=ahead)) & (Q(teller="") | Q(due_at__lte=now))


def _together(group: Group) -> timedelta:
    return _REMINDERS_TOGETHER if group.kind == Kind.REMINDER else timedelta(seconds=conf.notify_after_seconds)


def _put_off(rows: QuerySet[Notice], now: datetime) -> None:
    # What may end by itself is not reminded of, but may need a human by tomorrow.
    ends_by_itself = Q(incident__is_open=True) & ~Q(incident__kind__in=Incident.REMINDED)
    rows.filter(ends_by_itself, due_at__lte=now).update(due_at=now + _REMINDER)


def _drop_outdated(rows: QuerySet[Notice]) -> None:
    kept = list(_still_so(rows).values_list("pk", flat=True))
    rows.exclude(account="").exclude(pk__in=kept).delete()


def _still_so(rows: QuerySet[Notice]) -> QuerySet[Notice]:
    """Choose the notices of expiries after which nobody has logged in meanwhile."""
    same = Credential.objects.using(rows.db).filter(
        upstream=OuterRef("upstream"), account=OuterRef("account"), refresh_expires_at=OuterRef("expires_at")
    )
    return rows.filter(Exists(same))


def _batch(group: Group, teller: str, clock: Clock, using: str) -> Batch | None:
    mine = _rows(using).filter(teller=teller)
    counted = mine.order_by().values_list("incident__kind").annotate(number=Count("pk"), most=Max("attempts"))
    counts = {kind or "": (number, most) for kind, number, most in counted}
    if not counts:
        return None
    notices = list(mine.select_related("incident__credential").order_by("pk")[:MOST_NAMED])
    numbers = {kind: number for kind, (number, _) in counts.items()}
    return Batch(group, teller, clock, notices, numbers, max(most for _, most in counts.values()))


def told(batch: Batch, using: str) -> None:
    """Note that a message was delivered: what is to be told next is a reminder, a recovery or nothing."""
    now, mine = batch.clock.now(), _rows(using).filter(teller=batch.teller)
    after: dict[str, object] = {"teller": "", "attempts": 0, "error": ""}
    if batch.group.kind == Kind.RECOVERED:
        mine.delete()
    elif batch.group.kind == Kind.EXPIRING:
        mine.update(due_at=None, **after)
    else:
        mine.filter(kind=batch.group.kind).update(kind=Kind.REMINDER, due_at=now + _REMINDER, **after)
        _tell_next(mine, now, **after)


def not_told(batch: Batch, error: str, using: str) -> None:
    """Note that a message was not delivered: it is due again after a while, unless it is over meanwhile."""
    now, mine = batch.clock.now(), _rows(using).filter(teller=batch.teller)
    due_at = now + timedelta(seconds=_backoff(batch.attempts))
    after: dict[str, object] = {"teller": "", "attempts": batch.attempts + 1, "error": error[:200]}
    mine.filter(kind=batch.group.kind).update(due_at=due_at, **after)
    if batch.group.kind == Kind.OPENED:
        mine.filter(was_told=False).delete()
    _tell_next(mine, now, **after)


def _tell_next(mine: QuerySet[Notice], now: datetime, **after: object) -> None:
    # The incident was closed while that it began was told.
    mine.update(due_at=now + timedelta(seconds=conf.notify_after_seconds), **after)


def _backoff(attempts: int) -> float:
    first, longest = _RETRY_SECONDS
    return min(first * 2.0 ** min(attempts, 20), longest) * random_numbers().uniform(0.8, 1.2)


def expiring(upstream: str | None, using: str) -> list[tuple[str, str, datetime]]:
    """Return the accounts of an upstream, or of all, of whose expiry is told, with that expiry; the next one first."""
    rows = _still_so(_rows(using).filter(kind=Kind.EXPIRING).exclude(account=""))
    found = rows.filter(upstream=upstream) if upstream else rows
    return list(found.order_by("expires_at", "upstream", "account").values_list(*_EXPIRY).distinct())


def tidy(using: str) -> None:
    """Delete what nobody tells any more: of expiries that have passed, and for notifiers that are not configured."""
    now = queries.clock(using).now()
    abandoned = Q(due_at__lte=now - _ABANDONED) & ~Q(notifier__in=list(conf.notifiers))
    _rows(using).filter(abandoned | Q(expires_at__lte=now - _ABANDONED)).delete()


def _of(incident: Incident, using: str) -> QuerySet[Notice]:
    return _rows(using).filter(incident=incident)


def _rows(using: str) -> QuerySet[Notice]:
    return Notice.objects.using(using)
