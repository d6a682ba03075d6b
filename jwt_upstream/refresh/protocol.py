"""The refresh protocol: look, lease, call, settle; once for all threads, processes and hosts."""

from __future__ import annotations

import logging
import random
import time
from copy import copy
from datetime import datetime
from functools import partial

from django.utils import timezone

from jwt_upstream.backends import Backend, get_backend
from jwt_upstream.conf import conf
from jwt_upstream.exceptions import NotLoggedIn, RefreshBlocked, RefreshBusy, UpstreamError
from jwt_upstream.models import Credential
from jwt_upstream.store import connections, queries, transitions
from jwt_upstream.tokens import TokenPair, fingerprint

from .announcements import announce
from .call import attempt, login_fingerprint
from .settle import settle
from .single_flight import Flight, single_flight
from .states import reread, unavailable, usable

logger = logging.getLogger("jwt_upstream")

#: How long a waiter sleeps between two looks at the row, growing from the first to the second.
_POLL_SECONDS = (0.02, 0.1)


def current(
    credential: Credential, *, backend: Backend | None = None, run: connections.Run = connections.directly
) -> TokenPair:
    """Return the pair to call with: the stored one, or a new one if its expiry is near.

    While refreshing fails, callers get a token that still works. Raises CredentialError without touching the network,
    and whatever ``refresh`` raises once the stored token has expired. For ``backend`` and ``run`` see ``refresh``.
    """
    backend = backend or get_backend(credential.upstream)
    pair, now = run(partial(stored, credential, backend)), timezone.now()
    has_expired = not pair.access or credential.has_expired(now)
    is_due = has_expired or credential.is_due(now, backend.refresh_leeway)
    if not is_due or (not has_expired and _should_not_wait(credential, pair, backend, now)):
        return pair
    try:
        return refresh(credential, rejected=pair.access, backend=backend, run=run)
    except UpstreamError:
        if has_expired or credential.has_expired(timezone.now()):
            raise
        return run(lambda: stored(reread(credential), backend))


def stored(row: Credential, backend: Backend) -> TokenPair:
    """Return a row's pair, or raise what its state means, an automatic login that may help considered."""
    return usable(row, login_fingerprint(backend, row))


def is_suppressed(row: Credential, now: datetime) -> bool:
    """Tell whether the stored token got a 401 when it was fresh, so that for a while no 401 has it replaced."""
    until = row.refresh_suppressed_until
    return until is not None and until > now and not row.has_expired(now)


def _should_not_wait(credential: Credential, pair: TokenPair, backend: Backend, now: datetime) -> bool:
    # Nobody waits for a better token while theirs works and another worker is refreshing, or refreshing has just
    # failed, or it can't be done.
    return (
        credential.is_leased(now)
        or (credential.next_attempt_at is not None and credential.next_attempt_at > now)
        or not _is_renewable(credential, backend)
        or single_flight().is_under_way(_key(credential, fingerprint(pair.access)), queries.database())
    )


def _is_renewable(credential: Credential, backend: Backend) -> bool:
    needs_token = backend.needs_refresh_token
    return bool(credential.refresh_token) or not needs_token or bool(login_fingerprint(backend, credential))


def _key(credential: Credential, rejected: str | None) -> tuple[int, str | int]:
    return credential.pk, credential.generation if rejected is None else rejected


def refresh(
    credential: Credential,
    *,
    rejected: str | None = None,
    backend: Backend | None = None,
    run: connections.Run = connections.directly,
) -> TokenPair:
    """Return a pair whose access token is not ``rejected``, refreshing once for all threads, processes and hosts.

    If the row has moved on (another access token; without ``rejected``, another generation than the instance's), the
    stored pair is returned and nothing is sent; likewise while refreshes after a 401 are suppressed, since a fresh
    token did not help.

    Raises CredentialError where a human must act, UpstreamMisconfigured, RefreshUnavailable to try later; RefreshBusy
    after JWT_UPSTREAM_WAIT_SECONDS; RefreshBlocked, with nothing spent, if the caller's own transaction is in the way.
    ``backend`` is the upstream's configured one by default. ``run`` calls what must see the caller's connection, which
    async code has in another thread than the one that waits here.
    """
    # From here on by its fingerprint: a traceback's local variables must not show it.
    rejected = None if rejected is None else fingerprint(rejected)
    work = partial(_lead, credential, rejected, backend or get_backend(credential.upstream), queries.database())
    future = run(partial(single_flight().share, _key(credential, rejected), queries.database(), work))
    try:
        pair: TokenPair = future.result(conf.wait_seconds)
    except TimeoutError:
        raise _busy(credential) from None
    except UpstreamError as error:
        # Each waiter raises one of its own: a shared instance would grow a traceback of all threads' frames.
        raise copy(error) from None
    return pair


def _busy(credential: Credential) -> RefreshBusy:
    text = f"{credential}: another worker is refreshing and took longer than {conf.wait_seconds:g} s; try again"
    return RefreshBusy(text, credential=credential, retry_after=1.0)


def _lead(seen: Credential, rejected: str | None, backend: Backend, using: str, flight: Flight) -> TokenPair:
    give_up_at = time.monotonic() + conf.wait_seconds
    blocked_since: float | None = None
    pause, longest_pause = _POLL_SECONDS
    while True:
        began = time.monotonic()
        try:
            pair = _look_and_refresh(seen, rejected, backend, using, flight)
            if pair is not None:
                return pair
            blocked_since = None
        except connections.DATABASE_AWAY as error:
            # Locked by somebody, a serialization failure, a dropped connection: all mean look again.
            # It may have waited for SQLite's lock already.
            blocked_since = blocked_since or max(began, time.monotonic() - connections.SQLITE_TIMEOUT)
            if time.monotonic() - blocked_since >= connections.BLOCKED_SECONDS:
                _fail_in_transaction(seen, flight, error)
        if time.monotonic() > give_up_at:
            raise _busy(seen)
        time.sleep(pause * random.uniform(0.8, 1.2))
        pause = min(pause * 1.5, longest_pause)


def _fail_in_transaction(seen: Credential, flight: Flight, error: Exception) -> None:
    text = f"{seen}: not refreshed, nothing was spent: the calling transaction holds a lock on it; commit first"
    blocked = RefreshBlocked(text, credential=seen, reason=type(error).__name__, retry_after=1.0)
    flight.fail_in_transaction(blocked)
    if not flight.has_waiters_outside:
        raise blocked from None


def _look_and_refresh(
    seen: Credential, rejected: str | None, backend: Backend, using: str, flight: Flight
) -> TokenPair | None:
    """Return the pair if it is there or could be had, None to look again a little later."""
    row = queries.reread(seen, using)
    if row is None:
        _fail_in_transaction(seen, flight, NotLoggedIn("not committed"))
        raise NotLoggedIn(f"{seen}: the credential was deleted", credential=seen)
    pair = stored(row, backend)
    if (row.generation != seen.generation) if rejected is None else (fingerprint(pair.access) != rejected):
        return pair
    now = timezone.now()
    if rejected is not None and is_suppressed(row, now):
        return pair
    if row.next_attempt_at and row.next_attempt_at > now:
        raise unavailable(row)
    if row.is_leased(now) or row.state != Credential.State.ACTIVE:
        return None  # another worker is refreshing; or it was restored just now, and is to be read as it is
    return _lease_and_refresh(row, pair, backend, using)


def _lease_and_refresh(row: Credential, pair: TokenPair, backend: Backend, using: str) -> TokenPair | None:
    give_up_at = time.monotonic() + conf.lease_seconds
    taken = transitions.take_lease(row, using)
    if taken is None:
        return None
    row, interruption = taken
    try:
        if time.monotonic() + backend.deadline > give_up_at:
            return None  # frozen meanwhile (SIGSTOP, a suspended host): the lease could lapse during the call
        return settle(backend, row, attempt(backend, row, pair, give_up_at), using)
    finally:
        if interruption:
            announce(interruption)
