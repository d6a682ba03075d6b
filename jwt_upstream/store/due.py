"""The credentials to refresh in the background, and the leases that a worker takes on several of them at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from django.db import connections, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from jwt_upstream.conf import conf
from jwt_upstream.models import Credential, Incident

from .queries import with_clock

#: What tells whether a row may be used, and its lease.
_JUDGED = (
    "upstream",
    "account",
    "username",
    "lease",
    "obtained_for",
    "failure_verdict",
    "failed_login",
    "parameters",
    "secrets",
)


def well(upstream: str, now: datetime, before: datetime, using: str) -> QuerySet[Credential]:
    """Choose active credentials whose token expires before a moment, the nearest expiry first; none has failed.

    Those that have got tokens since ``now`` are left out, however soon these expire: nobody refreshes them again and
    again.
    """
    rows = _active(upstream, using).filter(failures=0, next_attempt_at=None, access_expires_at__lte=before)
    rows = rows.filter(Q(obtained_at=None) | Q(obtained_at__lt=now))
    # In the order of the index, its NULLs included: PostgreSQL would sort all that are due.
    return rows.order_by("next_attempt_at", "access_expires_at")


def failed(upstream: str, now: datetime, before: datetime, using: str) -> QuerySet[Credential]:
    """Choose those that failed before, when their backoff is over; the one that has waited longest comes first."""
    rows = _active(upstream, using).filter(access_expires_at__lte=before, failures__gt=0)
    return rows.filter(may_be_tried(now)).order_by("next_attempt_at")


def idle(upstream: str, now: datetime, using: str) -> QuerySet[Credential]:
    """Choose those whose access token may last for long yet, but whose refresh token would lapse unused."""
    rows = _active(upstream, using).filter(keep_alive_at__lte=now)
    return rows.filter(may_be_tried(now)).order_by("keep_alive_at")


def keys(rows: QuerySet[Credential], limit: int, is_usable: Callable[[Credential], bool]) -> list[tuple[int, str]]:
    """Return the keys of the first of these rows that are usable, each with the lease that somebody has, or had."""
    found: list[tuple[int, str]] = []
    # Those that nobody may use stay due for ever, and may be many.
    first, page = 0, list(rows.only(*_JUDGED)[:limit])
    while page and len(found) < limit:
        found += [(row.pk, row.lease) for row in page if is_usable(row)]
        first += limit
        page = list(rows.only(*_JUDGED)[first : first + limit]) if len(page) == limit else []
    return found[:limit]


def count_leased(rows: QuerySet[Credential], now: datetime, most: int) -> int:
    """Count the rows, up to ``most``, on which somebody has a lease that has not lapsed."""
    return rows.filter(lease_expires_at__gt=now)[:most].count()


def is_any_free(rows: QuerySet[Credential]) -> bool:
    """Tell whether nobody has the lease on one of these rows at least."""
    return rows.filter(lease="").exists()


def _active(upstream: str, using: str) -> QuerySet[Credential]:
    return Credential._base_manager.using(using).filter(upstream=upstream, state=Credential.State.ACTIVE)


def may_be_tried(now: datetime) -> Q:
    return Q(next_attempt_at=None) | Q(next_attempt_at__lte=now)


def take_leases(
    rows: QuerySet[Credential], number: int, lease: str, using: str, is_wanted: Callable[[Credential], bool]
) -> tuple[list[Credential], list[Credential]]:
    """Take the leases on the first of these rows, at most ``number``, that nobody holds and that are wanted.

    Rows that other workers are just looking at are passed over where the database can do that (``SKIP LOCKED``);
    elsewhere the database's error is raised at once if another transaction holds one. Returns what was looked at, and
    the leased rows. May be repeated with the same lease if the commit was not acknowledged.
    """
    features = connections[using].features
    with transaction.atomic(using=using):
        free = rows.filter(Q(lease="") | Q(lease=lease))
        if features.has_select_for_update:
            skips = features.has_select_for_update_skip_locked
            free = free.select_for_update(
                skip_locked=skips,
                nowait=features.has_select_for_update_nowait and not skips,
                no_key=features.has_select_for_no_key_update,
            )
        else:  # SQLite, where only a write takes a lock
            rows.model._base_manager.using(using).filter(pk=-1).update(lease="")
        seen = list(with_clock(free.annotate(in_trouble=_HAS_INCIDENT), number))
        leased = [_leased(row, lease) for row in seen if is_wanted(row)]
        _save(leased, using)
    return seen, leased


#: Known with the lease, so that a refresh that works need not look for an incident to close.
_HAS_INCIDENT = Exists(
    Incident.objects.filter(
        upstream=OuterRef("upstream"), account__in=["", OuterRef("account")], is_open=True
    ).order_by()
)


def _leased(row: Credential, lease: str) -> Credential:
    row.has_incident = bool(row.in_trouble)  # type: ignore[attr-defined]  # annotated
    row.lease = lease
    row.lease_expires_at = row.now() + timedelta(seconds=conf.lease_seconds)
    return row


def _save(leased: list[Credential], using: str) -> None:
    if leased:
        columns = {name: getattr(leased[0], name) for name in ("lease", "lease_expires_at")}
        Credential._base_manager.using(using).filter(pk__in=[row.pk for row in leased]).update(**columns)


def release_leases(leased: Iterable[Credential], lease: str, using: str) -> None:
    """Give back leases of which nothing came, so that nobody waits for them."""
    rows = Credential._base_manager.using(using).filter(pk__in=[row.pk for row in leased], lease=lease)
    rows.update(lease="", lease_expires_at=None)
