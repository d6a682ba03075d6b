"""The leader of a flight: it looks at the row, takes the lease, calls the upstream and settles, for all who wait."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from functools import partial

from django.db import Error
from django.db.models import QuerySet

from jwt_upstream.backends import Backend, get_backend
from jwt_upstream.binding import changes
from jwt_upstream.clock import dated_by, elapsed
from jwt_upstream.conf import conf
from jwt_upstream.exceptions import (
    CredentialMismatch,
    NotLoggedIn,
    RefreshBlocked,
    RefreshBusy,
    RefreshUnavailable,
    UpstreamNotConfigured,
)
from jwt_upstream.models import Credential, Event
from jwt_upstream.process import random_numbers
from jwt_upstream.store import (
    committed_after_all,
    connections,
    holder_is_gone,
    is_away,
    is_locked,
    new_lease,
    queries,
    seen_leases,
    transitions,
)
from jwt_upstream.tokens import TokenPair, fingerprint

from .announcements import announce
from .call import NO_TOKENS, attempt, login_fingerprints, may_replace
from .record import database_away
from .settle import settle
from .single_flight import Flight
from .states import changed_settings, check_moves, logged, mismatch, own_backend, unavailable, usable

#: How long a waiter sleeps between two looks at the row, growing from the first to the second.
_POLL_SECONDS = (0.02, 0.1)
#: How long a lease that has lapsed is left to its holder: after an outage of the database the answer that a live
#: worker holds is written before anybody spends the old token again.
_GRACE_SECONDS = 1.0
#: By how much the jitter makes a backoff longer at most.
_MOST_JITTER = 1.2


def stored(row: Credential, backend: Backend) -> TokenPair:
    """Return a row's pair, or raise what its state means, an automatic login that may help considered.

    A pair that was obtained for other settings is never returned: NO_TOKENS if settings alone can get another one,
    otherwise CredentialMismatch is raised.
    """
    pair = usable(row, partial(login_fingerprints, backend, row))
    if not changed_settings(row, backend):
        return pair
    if error := found_mismatch(row, backend):
        raise logged(error, row)
    check_moves(row)
    return NO_TOKENS


def found_mismatch(row: Credential, backend: Backend) -> CredentialMismatch | None:
    """Return the error for tokens that were obtained for other settings, if settings alone can't get others."""
    found = changed_settings(row, backend)
    return mismatch(row, found) if found and not may_replace(backend, row) else None


def needs_rebinding(row: Credential) -> CredentialMismatch | None:
    """Return the error for an active credential that needs a person, since settings name something else by now."""
    try:
        return None if row.needs_human else found_mismatch(row, get_backend(row.upstream, row))
    except UpstreamNotConfigured:
        return None


def mismatch_among(rows: QuerySet[Credential]) -> Credential | None:
    """Return one of the first active credentials that needs a person, since settings name something else by now."""
    return next(filter(needs_rebinding, queries.sample(rows)), None)


def is_suppressed(row: Credential, backend: Backend) -> bool:
    """Tell whether refreshing did not help a moment ago, so that for a while no 401 has the token replaced."""
    is_ahead = _is_ahead(row, row.refresh_suppressed_until, backend.min_refresh_interval)
    return is_ahead and not row.has_expired(row.now())


def is_backing_off(row: Credential, backend: Backend) -> bool:
    """Tell whether no refresh is attempted yet, since the last one failed."""
    return _is_ahead(row, row.next_attempt_at, max(backend.backoff_max * _MOST_JITTER, backend.retry_after_max))


def is_being_refreshed(row: Credential) -> bool:
    """Tell whether a worker holds the lease and is not known to be gone."""
    if not row.is_leased(row.now()) or holder_is_gone(row.lease):
        return False
    is_bounded = _is_ahead(row, row.lease_expires_at, conf.lease_seconds)
    return is_bounded or not seen_leases().is_outlasted(row.pk, row.lease, conf.lease_seconds)


def _is_ahead(row: Credential, moment: datetime | None, bound: float) -> bool:
    """Tell whether a moment is yet to come, and within its bound.

    One that is further away was written before the database's clock was set back, or by nobody we know: it must not
    bind anybody for longer than it was meant to.
    """
    now = row.now()
    return moment is not None and now < moment <= now + timedelta(seconds=bound + 1)


def busy(row: Credential) -> RefreshBusy:
    """Return the error for a caller that has waited for as long as callers wait, with what is left of the lease."""
    now = row.now()
    left = ((row.lease_expires_at or now) - now).total_seconds() if row.lease else 0.0
    text = f"{row}: another worker is refreshing and took longer than {conf.wait_seconds:g} s"
    if left > 0:
        text += f"; its lease expires in {left:.0f} s"
    return RefreshBusy(f"{text}; try again", credential=row, retry_after=max(left, 1.0))


def blocked(row: Credential, error: Exception) -> RefreshBlocked:
    """Return the error for a caller whose own transaction keeps the refresh from being recorded."""
    holder = "the calling transaction, or another one, holds a lock on its row; commit first"
    text = f"{row}: not refreshed, and no token was used: {holder}"
    return RefreshBlocked(text, credential=row, reason=type(error).__name__, retry_after=1.0)


def call_and_settle(
    backend: Backend, leased: Credential, pair: TokenPair, leased_at: float, using: str, *, is_by_hand: bool = False
) -> TokenPair | None:
    """Ask the upstream under a lease that was taken at ``leased_at`` (by ``clock.elapsed``), and store the outcome.

    Returns None if it is too late for that, or if the row has moved on meanwhile.
    """
    if is_too_late(backend, leased_at):
        return None  # frozen meanwhile (SIGSTOP, a suspended host): the lease could lapse during the call
    with dated_by(leased.clock):
        made = attempt(backend, leased, pair, leased_at + conf.lease_seconds, is_by_hand=is_by_hand)
    try:
        return settle(backend, leased, pair, made, using)
    except Error as error:
        if not is_away(error):  # a value that does not fit, a missing column: nobody is to wait for the lease
            transitions.release_lease(leased, using)
        raise


def is_too_late(backend: Backend, leased_at: float) -> bool:
    """Tell whether a lease could lapse before an answer is there."""
    return elapsed() + backend.deadline > leased_at + conf.lease_seconds


def _backend_now(backend: Backend, row: Credential) -> Backend:
    """Return the backend of an account whose parameters or secrets have changed since those who wait have read them.

    Raises RefreshUnavailable if tokens are for another place by that: they would send them to the one before.
    """
    own = own_backend(backend, row)
    if changes(backend.binding, own.binding):
        text = f"{row}: the account's parameters have been changed meanwhile; try again"
        raise RefreshUnavailable(text, credential=row, reason="changed meanwhile", retry_after=1.0)
    return own


class Leader:
    """Refreshes one credential; ``rejected`` is the fingerprint of the access token that is to be replaced."""

    def __init__(self, seen: Credential, rejected: str | None, backend: Backend, using: str, flight: Flight) -> None:
        self.seen = self.row = seen
        self.rejected = rejected
        self.backend = backend
        self.using = using
        self.flight = flight
        self.lease: str | None = None
        self.leased_at = 0.0
        self.lapsed, self.lapsed_since = "", 0.0

    def run(self) -> TokenPair:
        """Return the pair as soon as it is there or could be had; raises what ``protocol.refresh`` does."""
        give_up_at = time.monotonic() + conf.wait_seconds
        failing_since: float | None = None
        pause, longest_pause = _POLL_SECONDS
        while True:
            began = time.monotonic()
            try:
                if pair := self._look():
                    return pair
                failing_since = None
            except Error as error:
                if not is_away(error):
                    raise
                # Locked, a serialization failure, a cut connection: all mean look again. It may have waited for
                # SQLite's lock already.
                failing_since = failing_since or max(began, time.monotonic() - connections.SQLITE_TIMEOUT)
                if time.monotonic() - failing_since >= connections.BLOCKED_SECONDS:
                    self._fail_in_transaction(error)
                connections.reconnect(self.using)
                if time.monotonic() > give_up_at and not is_locked(error):
                    raise database_away(str(self.seen), error) from None
            if time.monotonic() > give_up_at:
                raise busy(self.row)
            time.sleep(pause * random_numbers().uniform(0.8, 1.2))
            pause = min(pause * 1.5, longest_pause)

    def _fail_in_transaction(self, error: Exception) -> None:
        is_away_only = isinstance(error, Error) and not is_locked(error)
        refused = database_away(str(self.seen), error) if is_away_only else blocked(self.seen, error)
        self.flight.fail_in_transaction(refused)
        if not self.flight.has_waiters_outside:
            raise refused from None

    def _look(self) -> TokenPair | None:
        """Return the pair if it is there or could be had, None to look again a little later."""
        row = queries.reread(self.seen, self.using)
        if row is None:
            self._fail_in_transaction(NotLoggedIn("not committed"))
            raise NotLoggedIn(f"{self.seen}: the credential was deleted", credential=self.seen)
        if (row.parameters, row.secrets) != (self.row.parameters, self.row.secrets):
            self.backend = _backend_now(self.backend, row)
        self.row, pair = row, stored(row, self.backend)
        if pair.access and self._has_moved_on(row, pair):
            return pair
        if is_backing_off(row, self.backend):
            raise unavailable(row)
        if row.lease == self.lease and not is_too_late(self.backend, self.leased_at):
            # The lease is ours: only the acknowledgement of its commit was lost.
            return self._call_and_announce(row, pair, committed_after_all(self.using))
        if row.state != Credential.State.ACTIVE or self._waits_for_holder(row):
            self._check_transactions(row)
            return None
        return self._lease_and_call(row, pair)

    def _has_moved_on(self, row: Credential, pair: TokenPair) -> bool:
        if self.rejected is None:
            return row.generation != self.seen.generation
        return fingerprint(pair.access) != self.rejected or is_suppressed(row, self.backend)

    def _waits_for_holder(self, row: Credential) -> bool:
        if not row.lease or holder_is_gone(row.lease):
            return False
        if row.lease == self.lease:
            return row.is_leased(row.now())
        if is_being_refreshed(row):
            return True
        if self.lapsed != row.lease:
            self.lapsed, self.lapsed_since = row.lease, time.monotonic()
        return time.monotonic() - self.lapsed_since < _GRACE_SECONDS

    def _check_transactions(self, row: Credential) -> None:
        # Another worker's refresh can't be recorded either while our caller's own transaction holds the row. What a
        # transaction holds can't change while it waits for us, so it is checked once.
        if self.flight.has_unchecked_transaction:
            transitions.check_lock(row, self.using)
            self.flight.has_unchecked_transaction = False

    def _lease_and_call(self, row: Credential, pair: TokenPair) -> TokenPair | None:
        self.leased_at = elapsed()
        # One name for all attempts: that of an earlier one may have been stored after all.
        self.lease = self.lease or new_lease()
        taken = transitions.take_lease(row, self.lease, self.using)
        if taken is None:
            return None
        return self._call_and_announce(taken[0], pair, taken[1])

    def _call_and_announce(self, leased: Credential, pair: TokenPair, interruption: Event | None) -> TokenPair | None:
        try:
            is_by_hand = self.rejected is None
            return call_and_settle(self.backend, leased, pair, self.leased_at, self.using, is_by_hand=is_by_hand)
        finally:
            if interruption:
                announce(interruption)


def watch_transaction(row: Credential, using: str, flight: Flight) -> None:
    """Fail the callers inside transactions if these keep the row from being changed; for those who join a flight."""
    give_up_at = time.monotonic() + connections.BLOCKED_SECONDS
    while True:
        try:
            transitions.check_lock(row, using)
            return
        except Error as error:
            if not is_locked(error) or time.monotonic() > give_up_at:
                flight.fail_in_transaction(blocked(row, error))
                return
            time.sleep(_POLL_SECONDS[0])
