"""Finding and counting credentials among a million without reading them all; an index answers every query."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import router
from django.db.models import Q, QuerySet
from django.utils import timezone

from jwt_upstream.models import Credential

State = Credential.State

#: How far rows are counted where nobody asked for the exact number.
COUNT_LIMIT = 10_000


def database() -> str:
    """Return the alias that credentials are written to; they are read from there too, since replicas lag behind."""
    return router.db_for_write(Credential)


def find(upstream: str, account: str, using: str) -> Credential | None:
    """Return the row of an account, if there is one."""
    # Not first(), whose ORDER BY takes Django a sixth of the query's time to write.
    return next(iter(Credential.objects.using(using).filter(upstream=upstream, account=account).order_by()), None)


def reread(row: Credential, using: str) -> Credential | None:
    """Return the row as it is now, None if it is gone (or not yet committed)."""
    return next(iter(Credential.objects.using(using).filter(pk=row.pk).order_by()), None)


def upstreams(rows: QuerySet[Any]) -> list[str]:
    """Return the upstreams that rows are of, by one look at an index for each (DISTINCT would read all rows)."""
    names: list[str] = []
    looked_at = rows.order_by("upstream").values_list("upstream", flat=True)
    while name := looked_at.filter(upstream__gt=names[-1] if names else "").first():
        names.append(name)
    return names


def due(upstream: str, before: datetime, limit: int, using: str) -> list[int]:
    """Return the keys of active credentials whose token ends before a moment and which may be refreshed now.

    The nearest end comes first; those that failed before come last, and not at all while they rest.
    """
    rows = Credential.objects.using(using).filter(upstream=upstream, state=State.ACTIVE, access_expires_at__lte=before)
    # In the order of the index, its NULLs included: PostgreSQL would sort all that are due.
    well = rows.filter(failures=0, next_attempt_at=None).order_by("next_attempt_at", "access_expires_at")
    has_rested = Q(next_attempt_at=None) | Q(next_attempt_at__lte=timezone.now())
    failed = rows.filter(has_rested, failures__gt=0).order_by("next_attempt_at")
    found = list(well.values_list("pk", flat=True)[:limit])
    return found + list(failed.values_list("pk", flat=True)[: limit - len(found)])


def failing(rows: QuerySet[Any], upstreams: Iterable[str]) -> QuerySet[Any]:
    """Choose the active credentials of these upstreams that couldn't be refreshed the last time."""
    found = Credential.objects.filter(upstream__in=list(upstreams), state=State.ACTIVE, failures__gt=0)
    # By their keys: to have them in order, SQLite would rather walk through all rows along another index.
    return rows.filter(pk__in=found.order_by().values("pk"))


def number(rows: QuerySet[Any], most: int | None) -> int:
    """Count rows, no further than ``most``: an index too is read through for an exact number."""
    return rows.order_by()[:most].count()
