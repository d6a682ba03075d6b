"""Getting and replacing tokens: look, claim, call, settle. The one place which knows both HTTP and the database."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Protocol, TypeVar

from django.utils import timezone

from jwt_upstream import claims, flights
from jwt_upstream.backends import Backend, Outcome, Verdict, get_backend
from jwt_upstream.conf import conf
from jwt_upstream.exceptions import NotLoggedIn, RefreshBlocked, RefreshBusy, RefreshUnavailable, UpstreamError
from jwt_upstream.models import Credential, Event, Outage
from jwt_upstream.news import announce, announce_outage, announce_recovery
from jwt_upstream.states import by_state, reread, unavailable, usable
from jwt_upstream.tokens import TokenPair

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
    pair, now = run(partial(usable, credential)), timezone.now()
    has_ended = not pair.access or credential.has_expired(now)
    if not has_ended and (not _is_due(credential, now) or _is_hopeless(credential, pair)):
        return pair
    try:
        return refresh(credential, rejected=pair.access, run=run)
    except UpstreamError:
        if has_ended or credential.has_expired(timezone.now()):
            raise
        return run(lambda: usable(reread(credential)))


def _is_due(credential: Credential, now: datetime) -> bool:
    return credential.is_due(now, get_backend(credential.upstream).refresh_leeway)


def _is_hopeless(credential: Credential, pair: TokenPair) -> bool:
    # Nobody waits for a better token while theirs is good: somebody is at it, it failed just now, or it can't be done.
    now = timezone.now()
    return (
        credential.is_claimed(now)
        or (credential.next_attempt_at is not None and credential.next_attempt_at > now)
        or (get_backend(credential.upstream).needs_refresh_token and not credential.refresh_token)
        or flights.is_under_way(_key(credential, pair.access), claims.database())
    )


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
        try:
            pair = _look_and_refresh(seen, rejected, using, flight)
            if pair is not None:
                return pair
            blocked_since = None
        except flights.DATABASE_AWAY as error:
            # Locked by somebody, a serialization failure, a dropped connection: all mean look again.
            blocked_since = blocked_since or time.monotonic()
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
    pair = usable(row)
    if (row.generation != seen.generation) if rejected is None else (pair.access != rejected):
        return pair
    now = timezone.now()
    if rejected and row.unhelped_until and row.unhelped_until > now and not row.has_expired(now):
        return pair
    if row.next_attempt_at and row.next_attempt_at > now:
        raise unavailable(row)
    if row.is_claimed(now):
        return None
    return _claim_and_refresh(row, pair, using)


def _claim_and_refresh(row: Credential, pair: TokenPair, using: str) -> TokenPair | None:
    backend, started = get_backend(row.upstream), time.monotonic()
    claimed = claims.claim(row, using)
    if claimed is None:
        return None
    row, interruption = claimed
    try:
        if time.monotonic() - started > conf.claim_seconds - backend.deadline:
            return None  # frozen meanwhile (SIGSTOP, a suspended host): the claim could lapse during the call
        return _settle(row, pair, _ask(backend, pair), using)
    finally:
        if interruption:
            announce(interruption)


def _ask(backend: Backend, pair: TokenPair) -> Outcome:
    if backend.needs_refresh_token and not pair.refresh:
        return Outcome(Verdict.REJECTED, "the access token has ended and there is no refresh token")
    try:
        return backend.refresh(pair)
    except Exception as error:
        # A bug in somebody's backend: the claim must be settled, and neither the message nor the frames, which may
        # hold tokens, go anywhere.
        return Outcome(Verdict.TRANSIENT, f"{type(error).__name__} in {type(backend).__name__}.refresh")


def _settle(row: Credential, used: TokenPair, outcome: Outcome, using: str) -> TokenPair | None:
    """Write the outcome, then tell of it; None if the row has moved on meanwhile and decides by itself."""
    # Nothing else may happen between the answer and the commit: the old token is spent.
    if outcome.verdict is Verdict.OK and outcome.pair:
        return _settle_pair(row, _completed(outcome.pair, used), outcome, using)
    event = flights.persist(lambda: _settle_refusal(row, outcome, using), using, conf.settle_seconds)
    if event is None:
        return None
    after: Credential = event.credential  # type: ignore[assignment]
    announce(event)
    if after.needs_human:
        raise by_state(after)
    kind = Outage.Kind.MISCONFIGURED if outcome.verdict is Verdict.CONFIG else Outage.Kind.DOWN
    announce_outage(after.upstream, kind, after.failure, using)
    raise unavailable(after)


def _settle_pair(row: Credential, pair: TokenPair, outcome: Outcome, using: str) -> TokenPair | None:
    write = partial(claims.settle_pair, row, pair, using, **_told(outcome))
    try:
        event = flights.persist(write, using, conf.settle_seconds)
    except flights.DATABASE_AWAY as error:
        raise _lost(row, error) from None
    if event is None and not _is_stored(row, pair, using):
        return None
    if event:
        announce(event)
    announce_recovery(row.upstream, using)
    return pair


def _lost(row: Credential, error: Exception) -> RefreshUnavailable:
    text = f"{row}: refreshed, but the database was away for {conf.settle_seconds:g} s and the new tokens are lost"
    logger.critical("%s (%s)", text, type(error).__name__)
    return RefreshUnavailable(text, credential=row, reason="the new tokens could not be stored")


def _is_stored(row: Credential, pair: TokenPair, using: str) -> bool:
    # A commit whose acknowledgement was lost: the second try finds the first one's work.
    now = claims.reread(row, using)
    return now is not None and now.pair.fingerprint == pair.fingerprint


def _completed(new: TokenPair, used: TokenPair) -> TokenPair:
    if new.refresh:
        return new
    return replace(new, refresh=used.refresh, refresh_expires_at=new.refresh_expires_at or used.refresh_expires_at)


def _settle_refusal(row: Credential, outcome: Outcome, using: str) -> Event | None:
    told = _told(outcome)
    if outcome.verdict in {Verdict.REJECTED, Verdict.LOCKED}:
        reason = outcome.reason
        if row.interrupted_at:
            at = f"{row.interrupted_at:%Y-%m-%d %H:%M:%S %Z}"
            reason += f"; a refresh at {at} was interrupted, its answer may be lost"
        return claims.settle_state(row, outcome.verdict.value, using, reason=reason, **told)
    verdict = outcome.verdict if outcome.verdict is Verdict.CONFIG else Verdict.TRANSIENT
    told |= {"verdict": verdict.value, "reason": outcome.reason, "is_ambiguous": outcome.is_ambiguous}
    return claims.settle_failure(row, _pause(row, outcome), using, **told)


def _told(outcome: Outcome) -> dict[str, Any]:
    return {"verdict": outcome.verdict.value, "status_code": outcome.status_code, "seconds": outcome.seconds}


def _pause(row: Credential, outcome: Outcome) -> float:
    backend = get_backend(row.upstream)
    pause = min(backend.cooldown * 2.0 ** min(row.failures, 30), backend.cooldown_max) * random.uniform(0.8, 1.2)
    return max(pause, outcome.retry_after or 0.0)
