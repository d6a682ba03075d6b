"""Writing what a refresh came to, then telling of it: the last part of the protocol in ``refresh``."""

from __future__ import annotations

import logging
import random
from functools import partial
from typing import Any

from jwt_upstream import claims, flights
from jwt_upstream.attempts import Attempt
from jwt_upstream.backends import Outcome, Verdict, get_backend
from jwt_upstream.conf import conf
from jwt_upstream.exceptions import RefreshUnavailable
from jwt_upstream.models import Credential, Event, Outage
from jwt_upstream.news import announce, announce_outage, announce_recovery
from jwt_upstream.states import by_state, unavailable
from jwt_upstream.tokens import TokenPair

logger = logging.getLogger("jwt_upstream")


def settle(row: Credential, attempt: Attempt, using: str) -> TokenPair | None:
    """Write the outcome, then tell of it; None if the row has moved on meanwhile and decides by itself."""
    # Nothing else may happen between the answer and the commit: the old token is spent.
    outcome = attempt.outcome
    if outcome.verdict is Verdict.OK and outcome.pair:
        return _settle_pair(row, outcome.pair, attempt, using)
    event = flights.persist(lambda: _settle_refusal(row, attempt, using), using, conf.settle_seconds)
    if event is None:
        return None
    after: Credential = event.credential  # type: ignore[assignment]
    announce(event)
    if after.needs_human:
        raise by_state(after)
    kind = Outage.Kind.MISCONFIGURED if outcome.verdict is Verdict.CONFIG else Outage.Kind.DOWN
    announce_outage(after.upstream, kind, after.failure, using)
    raise unavailable(after)


def _settle_pair(row: Credential, pair: TokenPair, attempt: Attempt, using: str) -> TokenPair | None:
    kind = Event.Kind.LOGGED_IN if attempt.login else Event.Kind.REFRESHED
    write = partial(claims.settle_pair, row, pair, using, kind=kind, **_told(attempt))
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


def _settle_refusal(row: Credential, attempt: Attempt, using: str) -> Event | None:
    outcome, told = attempt.outcome, _told(attempt)
    if outcome.verdict in {Verdict.REJECTED, Verdict.LOCKED}:
        reason = outcome.reason
        if row.interrupted_at:
            at = f"{row.interrupted_at:%Y-%m-%d %H:%M:%S %Z}"
            reason += f"; a refresh at {at} was interrupted, its answer may be lost"
        told |= {"reason": reason, "failed_login": attempt.login}
        return claims.settle_state(row, outcome.verdict.value, using, **told)
    verdict = outcome.verdict if outcome.verdict is Verdict.CONFIG else Verdict.TRANSIENT
    told |= {"verdict": verdict.value, "reason": outcome.reason, "is_ambiguous": outcome.is_ambiguous}
    return claims.settle_failure(row, _pause(row, outcome), using, **told)


def _told(attempt: Attempt) -> dict[str, Any]:
    outcome = attempt.outcome
    told = {"verdict": outcome.verdict.value, "status_code": outcome.status_code, "seconds": outcome.seconds}
    return {**told, "by": "automatic login"} if attempt.login else told


def _pause(row: Credential, outcome: Outcome) -> float:
    backend = get_backend(row.upstream)
    pause = min(backend.cooldown * 2.0 ** min(row.failures, 30), backend.cooldown_max) * random.uniform(0.8, 1.2)
    return max(pause, outcome.retry_after or 0.0)
