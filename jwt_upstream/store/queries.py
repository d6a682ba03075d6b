"""Queries for credentials; each uses an index, however many there are."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import connections, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import FloatField, Func, Q, QuerySet
from django.db.models.sql.compiler import SQLCompiler

from jwt_upstream.clock import Clock
from jwt_upstream.models import Credential

State = Credential.State

#: How far rows are counted where nobody asked for the exact number.
COUNT_LIMIT = 10_000


def database() -> str:
    """Return the alias that credentials are written to; they are read from there too, since replicas lag behind."""
    return router.db_for_write(Credential)


def find(upstream: str, account: str, using: str) -> Credential | None:
    """Return the row of an account, with the database's clock, if there is one."""
    return one(Credential.objects.using(using).filter(upstream=upstream, account=account))


def reread(row: Credential, using: str) -> Credential | None:
    """Return the row as it is now, with the database's clock; None if it is gone (or not yet committed)."""
    return one(Credential.objects.using(using).filter(pk=row.pk))


def one(rows: QuerySet[Credential]) -> Credential | None:
    """Return the only row of these, read together with the database's clock."""
    # Not first(), whose ORDER BY takes Django a sixth of the query's time to write.
    row: Credential | None = next(iter(rows.annotate(epoch=_Epoch()).order_by()), None)
    if row is not None:
        row.clock = Clock(float(row.epoch))  # type: ignore[attr-defined]  # annotated
    return row


def clock(using: str) -> Clock:
    """Return the database's clock, where no row is read."""
    connection = connections[using]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_epoch(connection)}")
        return Clock(float(cursor.fetchone()[0]))


_EPOCHS = {
    # At the start of the statement, not of the transaction.
    "postgresql": "EXTRACT(EPOCH FROM STATEMENT_TIMESTAMP())",
    # The first takes no fraction, the second no time zone that could be ambiguous when summer time ends.
    "mysql": "(UNIX_TIMESTAMP() + MICROSECOND(NOW(6)) / 1000000.0)",
    "sqlite": "((JULIANDAY('now') - 2440587.5) * 86400.0)",
}


class _Epoch(Func):
    """The database's time, in seconds since 1970 in UTC."""

    output_field = FloatField()

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, *_: Any, **__: Any) -> Any:
        return _epoch(connection), []


def _epoch(connection: BaseDatabaseWrapper) -> str:
    # On a database that we don't know this host's time has to do.
    return _EPOCHS.get(connection.vendor, repr(time.time()))


def upstreams(rows: QuerySet[Any]) -> list[str]:
    """Return the upstreams that rows are of, by one look at an index for each (DISTINCT would read all rows)."""
    names: list[str] = []
    looked_at = rows.order_by("upstream").values_list("upstream", flat=True)
    while name := looked_at.filter(upstream__gt=names[-1] if names else "").first():
        names.append(name)
    return names


def due(upstream: str, now: datetime, before: datetime, limit: int, using: str) -> list[int]:
    """Return the keys of active credentials whose token expires before a moment and which may be refreshed now.

    The nearest expiry comes first; those that failed before come last, and not at all during their backoff.
    """
    rows = Credential.objects.using(using).filter(upstream=upstream, state=State.ACTIVE, access_expires_at__lte=before)
    # In the order of the index, its NULLs included: PostgreSQL would sort all that are due.
    well = rows.filter(failures=0, next_attempt_at=None).order_by("next_attempt_at", "access_expires_at")
    may_be_tried = Q(next_attempt_at=None) | Q(next_attempt_at__lte=now)
    failed = rows.filter(may_be_tried, failures__gt=0).order_by("next_attempt_at")
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
