"""Getting and replacing tokens: look, claim, call, settle. The one place which knows both HTTP and the database."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from copy import copy
from datetime import datetime
from functools import partial
from typing import Protocol, TypeVar

from django.utils import timezone

from jwt_upstream import claims, flights
from jwt_upstream.attempts import attempt, login_fingerprint
from jwt_upstream.backends import get_backend
from jwt_upstream.conf import conf
from jwt_upstream.exceptions import NotLoggedIn, RefreshBlocked, RefreshBusy, UpstreamError
from jwt_upstream.models import Credential
from jwt_upstream.news import announce
from jwt_upstream.settlement import settle
from jwt_upstream.states import reread, unavailable, usable
from jwt_upstream.tokens import TokenPair, fingerprint

logger = logging.getLogger("jwt_upstream")

T = TypeVar("T")

#: How long a waiter sleeps between two looks at the row, growing from the first to the second.
_POLL_SECONDS = (0.02, 0.1)


class Run(Protocol):
    """Calls what it is given and returns the result, in whatever thread."""

    def __call__(self, work: Callable[[], T], /) -> T: ...


def _directly(work: Callable[[], T]) -> T:
    return work()


def current(credential: Credential, *, run: Run = _directly) -> TokenPair:
    """Return the pair to call with: the stored one, or a new one if its end is near.

    While refreshing fails, a token which still works is what callers get. Raises CredentialError without touching the
    network, and whatever ``refresh`` raises once the stored token has ended. For ``run`` see ``refresh``.
    """
    pair, now = run(partial(stored, credential)), timezone.now()
    has_ended = not pair.access or credential.has_expired(now)
    if not has_ended and (not _is_due(credential, now) or _is_hopeless(credential, pair)):
        return pair
    try:
        return refresh(credential, rejected=pair.access, run=run)
    except UpstreamError:
        if has_ended or credential.has_expired(timezone.now()):
            raise
        return run(lambda: stored(reread(credential)))


def stored(row: Credential) -> TokenPair:
    """Return a row's pair, or raise what its state means, an automatic login that may help considered."""
    return usable(row, login_fingerprint(row))


def is_left_alone(row: Credential, now: datetime) -> bool:
    """Tell whether the stored token got a 401 as a fresh one, so that for a while no 401 has it replaced."""
    return row.unhelped_until is not None and row.unhelped_until > now and not row.has_expired(now)


def _is_due(credential: Credential, now: datetime) -> bool:
    return credential.is_due(now, get_backend(credential.upstream).refresh_leeway)


def _is_hopeless(credential: Credential, pair: TokenPair) -> bool:
    # Nobody waits for a better token while theirs is good: somebody is at it, it failed just now, or it can't be done.
    now = timezone.now()
    return (
        credential.is_claimed(now)
        or (credential.next_attempt_at is not None and credential.next_attempt_at > now)
        or not _is_renewable(credential)
        or flights.is_under_way(_key(credential, fingerprint(pair.access)), claims.database())
    )


def _is_renewable(credential: Credential) -> bool:
    needs_token = get_backend(credential.upstream).needs_refresh_token
    return bool(credential.refresh_token) or not needs_token or bool(login_fingerprint(credential))


def _key(credential: Credential, rejected: str | None) -> tuple[int, str | int]:
    return credential.pk, credential.generation if rejected is None else rejected


def refresh(credential: Credential, *, rejected: str | None = None, run: Run = _directly) -> TokenPair:
    """Return a pair whose access token is not ``rejected``, refreshing once for all threads, processes and hosts.

    If the row has moved on (another access token; without ``rejected``, another generation than the instance's), the
    stored pair is returned and nothing is sent. So it is while a 401 that a fresh token did not help is left alone.

    Raises CredentialError where a human must act, UpstreamMisconfigured, RefreshUnavailable to try later; RefreshBusy
    after JWT_UPSTREAM_WAIT_SECONDS; RefreshBlocked, with nothing spent, if the caller's own transaction is in the way.
    ``run`` calls what must see the caller's connection, which async code has in another thread than the one that
    waits here.
    """
    # From here on by its fingerprint: a traceback's local variables must not show it.
    rejected = None if rejected is None else fingerprint(rejected)
    get_backend(credential.upstream)
    using = claims.database()
    work = partial(_lead, credential, rejected, using)
    future = run(lambda: flights.share(_key(credential, rejected), using, work))
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


def _lead(seen: Credential, rejected: str | None, using: str, flight: flights.Flight) -> TokenPair:
    give_up_at = time.monotonic() + conf.wait_seconds
    blocked_since: float | None = None
    pause = _POLL_SECONDS[0]
    while True:
        began = time.monotonic()
        try:
            pair = _look_and_refresh(seen, rejected, using, flight)
            if pair is not None:
                return pair
            blocked_since = None
        except flights.DATABASE_AWAY as error:
            # Locked by somebody, a serialization failure, a dropped connection: all mean look again.
            # It may have waited for SQLite's lock already.
            blocked_since = blocked_since or max(began, time.monotonic() - flights.SQLITE_TIMEOUT)
            if time.monotonic() - blocked_since >= flights.BLOCKED_SECONDS:
                _refuse_bound(seen, flight, error)
        if time.monotonic() > give_up_at:
            raise _busy(seen)
        time.sleep(pause * random.uniform(0.8, 1.2))
        pause = min(pause * 1.5, _POLL_SECONDS[1])


def _refuse_bound(seen: Credential, flight: flights.Flight, error: Exception) -> None:
    text = f"{seen}: not refreshed, nothing was spent: the calling transaction holds a lock on it; commit first"
    blocked = RefreshBlocked(text, credential=seen, reason=type(error).__name__, retry_after=1.0)
    flight.refuse_bound(blocked)
    if not flight.has_free:
        raise blocked from None


def _look_and_refresh(seen: Credential, rejected: str | None, using: str, flight: flights.Flight) -> TokenPair | None:
    """Return the pair if it is there or could be had, None to look again a little later."""
    row = claims.reread(seen, using)
    if row is None:
        _refuse_bound(seen, flight, NotLoggedIn("not committed"))
        raise NotLoggedIn(f"{seen}: the credential was deleted", credential=seen)
    pair = stored(row)
    if (row.generation != seen.generation) if rejected is None else (fingerprint(pair.access) != rejected):
        return pair
    now = timezone.now()
    if rejected is not None and is_left_alone(row, now):
        return pair
    if row.next_attempt_at and row.next_attempt_at > now:
        raise unavailable(row)
    if row.is_claimed(now) or row.state != Credential.State.ACTIVE:
        return None  # somebody else is at it; or this was restored just now, and is to be read as it is
    return _claim_and_refresh(row, pair, using)


def _claim_and_refresh(row: Credential, pair: TokenPair, using: str) -> TokenPair | None:
    deadline, give_up_at = get_backend(row.upstream).deadline, time.monotonic() + conf.claim_seconds
    claimed = claims.claim(row, using)
    if claimed is None:
        return None
    row, interruption = claimed
    try:
        if time.monotonic() + deadline > give_up_at:
            return None  # frozen meanwhile (SIGSTOP, a suspended host): the claim could lapse during the call
        return settle(row, attempt(row, pair, give_up_at), using)
    finally:
        if interruption:
            announce(interruption)
