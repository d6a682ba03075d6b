"""Queries for credentials; each uses an index, however many there are."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import chain, islice
from typing import Any

from django.db import connections, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import FloatField, Func, QuerySet
from django.db.models.sql.compiler import SQLCompiler

from jwt_upstream.clock import Clock
from jwt_upstream.models import Credential, Event

State = Credential.State

#: How far rows are counted where nobody asked for the exact number.
COUNT_LIMIT = 10_000
#: How many credentials of an upstream are looked at where the settings of all of them are the question.
_SAMPLE_ROWS = 100
#: How many rows a search finds at most, since it hands on their keys.
MOST_FOUND = 1_000


def database() -> str:
    """Return the alias that credentials are written to; they are read from there too, since replicas lag behind."""
    return router.db_for_write(Credential)


def find(upstream: str, account: str, using: str) -> Credential | None:
    """Return the row of an account, with the database's clock, if there is one."""
    if "\0" in upstream + account:  # whose name nobody has, and PostgreSQL takes it for none
        return None
    return one(Credential.objects.using(using).filter(upstream=upstream, account=account))


def reread(row: Credential, using: str) -> Credential | None:
    """Return the row as it is now, with the database's clock; None if it is gone (or not yet committed)."""
    return one(Credential.objects.using(using).filter(pk=row.pk))


def one(rows: QuerySet[Credential]) -> Credential | None:
    """Return the only row of these, read together with the database's clock."""
    # Not first(), whose ORDER BY takes Django a sixth of the query's time to write.
    return next(with_clock(rows.order_by()), None)


def with_clock(rows: QuerySet[Credential], limit: int | None = None) -> Iterator[Credential]:
    """Yield rows, at most so many, each with the database's clock."""
    for row in rows.annotate(epoch=_Epoch())[:limit]:
        row.clock = Clock(float(row.epoch))
        yield row


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


def number_of_late(row: Credential, reason: str, seconds: float, using: str) -> int:
    """Count an account's events of the last seconds whose reason begins so."""
    since = row.now() - timedelta(seconds=seconds)
    events = Event.objects.using(using).filter(upstream=row.upstream, account=row.account, at__gt=since)
    return events.filter(reason__startswith=reason).order_by().count()


def has_ended(row: Credential, since: datetime, using: str) -> bool:
    """Tell whether somebody, or the upstream, has ended an account's tokens since a moment."""
    kinds = (Event.Kind.LOGGED_OUT, Event.Kind.REJECTED, Event.Kind.LOCKED)
    events = Event.objects.using(using).filter(upstream=row.upstream, account=row.account, at__gt=since)
    return events.filter(kind__in=kinds).order_by().exists()


def failing(rows: QuerySet[Any], upstreams: Iterable[str]) -> QuerySet[Any]:
    """Choose the active credentials of these upstreams that couldn't be refreshed the last time."""
    found = Credential.objects.filter(upstream__in=list(upstreams), state=State.ACTIVE, failures__gt=0)
    # By their keys: to have them in order, SQLite would rather walk through all rows along another index.
    return rows.filter(pk__in=found.order_by().values("pk"))


def trouble_first(rows: QuerySet[Any]) -> list[QuerySet[Any]]:
    """Divide credentials by what they need, the worst first; each part is in the order of an index."""
    ordered = rows.order_by("upstream", "account")
    urgent = [ordered.filter(state=state) for state in (State.LOCKED, State.REJECTED, State.UNREADABLE)]
    names = upstreams(Credential.objects.using(rows.db))
    well = ordered.filter(state=State.ACTIVE, failures=0)
    return [*urgent, failing(ordered, names), ordered.filter(state=State.LOGGED_OUT), well]


def search(rows: QuerySet[Any], text: str, columns: Sequence[str]) -> QuerySet[Any]:
    """Choose the rows of exactly this ``upstream/account``, or else those whose name or columns have all the words.

    The rows of an account are found by an index. Besides, the words are looked for in the first COUNT_LIMIT rows only,
    in the order of the rows, and no more than MOST_FOUND are chosen.
    """
    names = upstreams(rows.model._default_manager.using(rows.db))
    for name in names:
        exact = rows.filter(upstream=name, account=text.removeprefix(f"{name}/"))
        if text.startswith(f"{name}/") and exact.order_by().exists():
            return exact
    of_account = rows.filter(upstream__in=names, account=text).order_by().values_list("pk", flat=True)
    return rows.filter(pk__in=list(islice(chain(of_account[:MOST_FOUND], _matching(rows, text, columns)), MOST_FOUND)))


def _matching(rows: QuerySet[Any], text: str, columns: Sequence[str]) -> Iterator[Any]:
    words = text.casefold().split()
    parts = trouble_first(rows) if rows.model is Credential else [rows]
    read = chain.from_iterable(part.values_list("pk", "upstream", "account", *columns)[:COUNT_LIMIT] for part in parts)
    for pk, upstream, account, *others in islice(read, COUNT_LIMIT):
        said = "\n".join([f"{upstream}/{account}", *map(str, others)]).casefold()
        if all(word in said for word in words):
            yield pk


def sample(rows: QuerySet[Credential]) -> QuerySet[Credential]:
    """Choose a hundred of the active credentials among these, as far as settings are the question: without tokens."""
    active = rows.filter(state=State.ACTIVE).defer("access_token", "refresh_token", "answer")
    return active.order_by()[:_SAMPLE_ROWS]


def number(rows: QuerySet[Any], most: int | None) -> int:
    """Count rows, no further than ``most``: an index too is read through for an exact number."""
    return rows.order_by()[:most].count()
