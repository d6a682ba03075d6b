"""Stores the outcome of a refresh, then announces it: the last step of the protocol."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial

from django.db import Error

from jwt_upstream.backends import Backend, Outcome, Verdict
from jwt_upstream.backends.core import shown_url
from jwt_upstream.conf import conf
from jwt_upstream.exceptions import RefreshUnavailable
from jwt_upstream.models import Credential, Event
from jwt_upstream.process import random_numbers
from jwt_upstream.store import EventDetails, connections, is_away, queries, transitions
from jwt_upstream.tokens import TokenPair

from .announcements import announce
from .call import Attempt
from .states import by_state, unavailable

logger = logging.getLogger("jwt_upstream")


def settle(backend: Backend, row: Credential, attempt: Attempt, using: str) -> TokenPair | None:
    """Write the outcome, then announce it; None if the row has moved on meanwhile and is to be read again."""
    # Nothing else may happen between the answer and the commit: the old token is spent.
    outcome = attempt.outcome
    if outcome.verdict is Verdict.OK and outcome.pair:
        return _settle_pair(backend, row, outcome.pair, attempt, using)
    write = partial(_settle_refusal, backend, row, attempt, using)
    event = connections.write_with_retry(write, using, conf.settle_seconds)
    if event is None:
        return None
    after: Credential = event.credential  # type: ignore[assignment]
    announce(event, _asked(backend, attempt))
    raise by_state(after) if after.needs_human else unavailable(after)


def _settle_pair(backend: Backend, row: Credential, pair: TokenPair, attempt: Attempt, using: str) -> TokenPair | None:
    kind = Event.Kind.LOGGED_IN if attempt.login else Event.Kind.REFRESHED
    # The same access token again, as some endpoints give it out until it expires: another refresh would not help.
    suppressed_for = backend.min_refresh_interval if pair.access == row.pair.access else 0.0
    pair = pair.with_credible_expiry(row.now())
    write = partial(transitions.settle_pair, row, pair, using, kind, _details(attempt), suppressed_for)
    try:
        event = connections.write_with_retry(write, using, conf.settle_seconds)
    except Error as error:
        if not is_away(error):
            raise
        raise _lost(row, error) from None
    if event is None and not _is_stored(row, pair, using):
        return None
    if event:
        announce(event)
    return pair


def _lost(row: Credential, error: Exception) -> RefreshUnavailable:
    text = f"{row}: refreshed, but the database was away for {conf.settle_seconds:g} s and the new tokens are lost"
    logger.critical("%s (%s)", text, type(error).__name__)
    return RefreshUnavailable(text, credential=row, reason="the new tokens could not be stored")


def _is_stored(row: Credential, pair: TokenPair, using: str) -> bool:
    # A commit whose acknowledgement was lost: the second attempt finds that the first one has written.
    now = queries.reread(row, using)
    return now is not None and now.pair.fingerprint == pair.fingerprint


def _settle_refusal(backend: Backend, row: Credential, attempt: Attempt, using: str) -> Event | None:
    outcome, details = attempt.outcome, _details(attempt)
    if outcome.verdict in {Verdict.REJECTED, Verdict.LOCKED}:
        details = replace(details, reason=_with_interruption(outcome.full_reason, row))
        return transitions.settle_refusal(row, outcome.verdict.value, using, details, attempt.login)
    verdict = outcome.verdict if outcome.verdict is Verdict.CONFIG else Verdict.TRANSIENT
    details = replace(details, reason=outcome.full_reason, verdict=verdict.value)
    backoff = _backoff(backend, row, outcome)
    return transitions.settle_failure(
        row, backoff, using, details, is_ambiguous=outcome.is_ambiguous, is_refused=attempt.is_refused
    )


def _details(attempt: Attempt) -> EventDetails:
    outcome, by = attempt.outcome, "automatic login" if attempt.login else ""
    return EventDetails("", outcome.verdict.value, outcome.status_code, outcome.seconds, by)


def _asked(backend: Backend, attempt: Attempt) -> str:
    path = backend.login_path if attempt.login else backend.refresh_path or backend.login_path
    return shown_url(backend.url(path), backend.own_secrets)


def _with_interruption(reason: str, row: Credential) -> str:
    if not row.interrupted_at:
        return reason
    at = f"{row.interrupted_at:%Y-%m-%d %H:%M:%S %Z}"
    return f"{reason}; a refresh at {at} was interrupted, its answer may be lost"


def _backoff(backend: Backend, row: Credential, outcome: Outcome) -> float:
    # With jitter, so that hosts don't come back at the same moment.
    jitter = random_numbers().uniform(0.8, 1.2)
    backoff = min(backend.backoff * 2.0 ** min(row.failures, 30), backend.backoff_max) * jitter
    return max(backoff, outcome.retry_after or 0.0)
