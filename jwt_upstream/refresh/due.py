"""Refreshes what is due at one upstream, with leases on several credentials at once and connections that last."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit

from django.db import Error
from django.db.models import QuerySet

from jwt_upstream.backends import Backend, get_backend
from jwt_upstream.backends.core import transport
from jwt_upstream.clock import elapsed
from jwt_upstream.exceptions import AccountMisconfigured, UpstreamError
from jwt_upstream.models import Credential
from jwt_upstream.process import random_numbers
from jwt_upstream.store import connections, due, is_locked, new_lease, queries

from .leader import (
    call_and_settle,
    found_mismatch,
    is_backing_off,
    is_being_refreshed,
    is_suppressed,
    is_too_late,
    stored,
)
from .protocol import refresh
from .states import find, note_misconfigured

T = TypeVar("T")

#: How many rows are looked at for a lease that somebody has left, and at most read at once.
_PAGE = 1000
#: How long leases are tried for while others write; on SQLite any transaction that writes keeps everybody else out.
_LOCKED_SECONDS = 5.0
#: How long to wait for another worker that has locked all rows to take its leases, as MariaDB has it if there are few.
_WAITS = (0.02, 0.05, 0.1, 0.2, 0.4)


def in_threads(number: int, work: Callable[[], None], using: str) -> list[Future[None]]:
    """Run ``work()`` in so many threads, each with a database connection and connections to upstreams that last.

    Returns their futures. In a test's transaction, which no other thread sees, it runs once, in this thread.
    """

    def run() -> None:
        with transport.kept_connections():
            work()

    if connections.must_join(using):
        run()
        return []
    return [connections.in_own_thread(using, run) for _ in range(number)]


class Leased(NamedTuple):
    """A credential to refresh, and when its lease was taken; None if the ordinary way of refreshing is to take it."""

    row: Credential
    at: float | None = None


class DueCredentials:
    """The credentials of one upstream that calls would refresh within ``ahead`` seconds, or that must be kept alive.

    ``lease`` must be called by one thread at a time; the others by as many as there are leases. All run on the calling
    thread's own connection.
    """

    def __init__(self, backend: Backend, ahead: float, using: str) -> None:
        self.backend = backend
        #: The keys of those that were passed over, since their tokens were obtained for other settings.
        self.mismatched: set[int] = set()
        #: The keys of those that were passed over, since settings don't allow what their accounts have of their own.
        self.misconfigured: set[int] = set()
        self._misconfigured: tuple[Credential, AccountMisconfigured] | None = None
        #: Whether the last time nothing was leased because all processes together may not do more here at once.
        self.is_full = False
        self._ahead = timedelta(seconds=ahead)
        self._using = using
        self._clock = queries.clock(using)
        self._now = self._clock.now()
        self._found = self._all()
        self._number = 0

    def lease(self, number: int) -> list[Leased]:
        """Return the next ones, about ``number`` of them; none if there are no more, or a transaction holds them.

        Returns none as well, and sets ``is_full``, while ``max_concurrent_refreshes_overall`` are under way.
        """
        try:
            self._number = min(number, self._room(number))
            self.is_full = self._number <= 0
            return [] if self.is_full else next(self._found, [])
        except Error as error:
            if not is_locked(error):
                raise
            return []

    def release(self, leased: list[Leased]) -> None:
        """Give leases back of which nothing will come, so that nobody waits for them."""
        by_lease: dict[str, list[Credential]] = {}
        for each in leased:
            if each.at is not None:
                by_lease.setdefault(each.row.lease, []).append(each.row)
        for lease, rows in by_lease.items():
            release = partial(due.release_leases, rows, lease, self._using)
            connections.write_with_retry(release, self._using, connections.BLOCKED_SECONDS)

    def refresh(self, leased: Leased) -> None:
        """Refresh one; raises what ``protocol.refresh`` raises."""
        row = leased.row
        if leased.at is None:
            backend = self._own(row)
            refresh(row, rejected=stored(row, backend).access, backend=backend)
            return
        try:
            backend = self._own(row)
            pair = stored(row, backend)
            may_call = not is_too_late(backend, leased.at)
        except BaseException:
            self.release([leased])
            raise
        if not may_call:
            self.release([leased])
        else:
            call_and_settle(backend, row, pair, leased.at, self._using)

    def host(self, leased: Leased) -> str:
        """Return the host at which one is refreshed, as accounts may have their own; "" if that is misconfigured."""
        try:
            return urlsplit(self._own(leased.row).binding["token_endpoint"]).netloc
        except AccountMisconfigured:
            return ""

    def announce_misconfigured(self) -> None:
        """Have admins told, once, that there are accounts whose own values settings don't allow."""
        if self._misconfigured:
            with suppress(UpstreamError):  # a lost key, which is told as such; a database that is away until later
                note_misconfigured(*self._misconfigured)

    # -- finding

    def _room(self, number: int) -> int:
        """Return how many of a number may be under way besides, by the leases on what is due at the upstream."""
        most = self.backend.max_concurrent_refreshes_overall
        if not most:
            return number
        now = self._clock.now()
        counts = (self._retried(partial(due.count_leased, rows, now, most)) for rows in self._lanes(now))
        return most - sum(counts)

    def _lanes(self, now: datetime) -> list[QuerySet[Credential]]:
        """Return those that are well, those that nobody uses and those that failed before, as they are due now."""
        before = self._now + self._ahead + timedelta(seconds=self.backend.refresh_leeway)
        upstream, using = self.backend.alias, self._using
        well, idle = due.well(upstream, now, before, using), due.idle(upstream, now, using)
        return [well, idle, due.failed(upstream, now, before, using)]

    def _all(self) -> Iterator[list[Leased]]:
        yield from self._without_tokens()
        well, *others = self._lanes(self._now)
        yield from self._abandoned(self._keys(well))
        yield from self._from_index(well)
        for rows in others:
            found = self._keys(rows)
            yield from self._abandoned(found)
            yield from self._by_keys(found)

    def _without_tokens(self) -> Iterator[list[Leased]]:
        """Yield the account that logs in by itself and has not done so yet; its row is created."""
        if not self.backend.logs_in_by_itself:
            return
        row = find(self.backend.alias, "default", begin=True)
        is_new = row.state == Credential.State.ACTIVE and not row.access_token
        if is_new and not is_backing_off(row, self.backend) and not is_being_refreshed(row):
            yield [Leased(row)]

    def _abandoned(self, found: list[tuple[int, str]]) -> Iterator[list[Leased]]:
        """Yield those whose lease has lapsed or was left by a process that is gone."""
        for key, lease in found:
            row = self._retried(partial(queries.reread, Credential(pk=key), self._using)) if lease else None
            if row and row.lease and not is_being_refreshed(row) and self._is_wanted(row):
                yield [Leased(row)]

    def _from_index(self, rows: QuerySet[Credential]) -> Iterator[list[Leased]]:
        """Yield rows in their order, each page beginning where the last one has ended."""
        rest, waits = rows, iter(_WAITS)
        while True:
            seen, leased = self._take(rest, number := self._number)
            if leased:
                yield leased
            elif not seen and self._retried(partial(due.is_any_free, rest)) and (seconds := next(waits, None)):
                time.sleep(seconds * random_numbers().uniform(0.8, 1.2))  # another worker holds them all just now
                continue
            elif len(seen) < number:
                return
            elif not any(map(self._is_bound, seen)):
                yield from self._by_keys(self._keys(rest))  # without the many more that there may be
                return
            last = seen[-1].access_expires_at
            # Those that are leased by now are not found again; a page of others must not be read for ever.
            rest = rows.filter(access_expires_at__gte=last) if leased else rows.filter(access_expires_at__gt=last)

    def _by_keys(self, found: list[tuple[int, str]]) -> Iterator[list[Leased]]:
        keys = [key for key, lease in found if not lease]
        while keys:
            some, keys = keys[: self._number], keys[self._number :]
            rows = Credential._base_manager.using(self._using).filter(pk__in=some)
            if leased := self._take(rows.filter(due.may_be_tried(self._now)), len(some))[1]:
                yield leased

    def _keys(self, rows: QuerySet[Credential]) -> list[tuple[int, str]]:
        return self._retried(partial(due.keys, rows, _PAGE, self._is_bound))

    def _is_bound(self, row: Credential) -> bool:
        """Tell whether a row may be refreshed with these settings; those that may not are counted."""
        try:
            is_usable = found_mismatch(row, self._own(row)) is None
        except AccountMisconfigured as error:
            self.misconfigured.add(row.pk)
            self._misconfigured = self._misconfigured or (row, error)
            return False
        self.mismatched |= set() if is_usable else {row.pk}
        return is_usable

    def _own(self, row: Credential) -> Backend:
        """Return the backend with what the row's account has of its own; raises AccountMisconfigured."""
        return self.backend if self.backend.accounts is None else get_backend(self.backend.alias, row)

    def _take(self, rows: QuerySet[Credential], number: int) -> tuple[list[Credential], list[Leased]]:
        leased_at, lease = elapsed(), new_lease()
        take = partial(due.take_leases, rows, number, lease, self._using, self._is_wanted)
        seen, leased = self._retried(take)
        return seen, [Leased(row, leased_at) for row in leased]

    def _retried(self, work: Callable[[], T]) -> T:
        # A connection that the server has cut, a lock of somebody else's: mere reads are repeated as well.
        return connections.write_with_retry(work, self._using, _LOCKED_SECONDS)

    def _is_wanted(self, row: Credential) -> bool:
        now = row.now()
        if row.state != Credential.State.ACTIVE or is_suppressed(row, self.backend) or not self._is_bound(row):
            return False
        if row.keep_alive_at and row.keep_alive_at <= now:
            return True
        if not row.is_due(now + self._ahead, self.backend.refresh_leeway):
            return False
        # Without a refresh token nothing can be done before the access token expires.
        return row.has_expired(now) or bool(row.refresh_token) or not self.backend.needs_refresh_token
