"""Stores the outcome of a refresh, then announces it: the last step of the protocol."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from functools import partial

from django.db import Error

from jwt_upstream.backends import Backend, Outcome, Verdict
from jwt_upstream.backends.core import shown_url
from jwt_upstream.binding import described, refreshed
from jwt_upstream.conf import conf
from jwt_upstream.exceptions import RefreshUnavailable
from jwt_upstream.languages import in_english
from jwt_upstream.models import Credential, Event
from jwt_upstream.process import random_numbers
from jwt_upstream.store import EventDetails, connections, is_away, outbox, queries, transitions
from jwt_upstream.tokens import TokenPair

from .announcements import announce
from .call import Attempt, has_login
from .states import MOVED, by_state, changed_settings, unavailable

logger = logging.getLogger("jwt_upstream")

#: Between two pairs at least, to see by their expiries, which are in seconds, whether a refresh has prolonged them.
_TELLING = timedelta(minutes=1)


def settle(backend: Backend, row: Credential, used: TokenPair, attempt: Attempt, using: str) -> TokenPair | None:
    """Write the outcome, then announce it; None if the row has moved on meanwhile and is to be read again.

    ``used`` is the pair that the row holds, as far as it may be used.
    """
    # Nothing else may happen between the answer and the commit: the old token is spent.
    outcome = attempt.outcome
    if outcome.verdict is Verdict.OK and outcome.pair:
        return _settle_pair(backend, row, used, outcome.pair, attempt, using)
    write = partial(_settle_refusal, backend, row, attempt, using)
    event = connections.write_with_retry(write, using, conf.settle_seconds)
    if event is None:
        return None
    after: Credential = event.credential  # type: ignore[assignment]
    announce(event, _asked(backend, attempt))
    raise by_state(after) if after.needs_human else unavailable(after)


def _settle_pair(
    backend: Backend, row: Credential, used: TokenPair, pair: TokenPair, attempt: Attempt, using: str
) -> TokenPair | None:
    kind = Event.Kind.LOGGED_IN if attempt.login else Event.Kind.REFRESHED
    # The same access token again, as some endpoints give it out until it expires: another refresh would not help. The
    # same key again is what somebody wants tried who refreshes by hand.
    is_repeated = pair.access == used.access and not (backend.is_static and not backend.test_path)
    suppressed_for = backend.min_refresh_interval if is_repeated else 0.0
    pair = pair.with_credible_expiry(row.now())
    details, bound = _details(attempt), backend.binding
    if found := changed_settings(row, backend):
        with in_english():
            details = replace(details, reason=MOVED + described(found))
    else:
        bound = refreshed(row.obtained_for, bound)
    write = partial(transitions.settle_pair, row, pair, using, kind, details, obtained_for=bound)
    write = partial(write, suppressed_for=suppressed_for, keep_alive=backend.keep_alive)
    try:
        event = connections.write_with_retry(write, using, conf.settle_seconds)
    except Error as error:
        if not is_away(error):
            raise
        raise _lost(row, error) from None
    if event is None and not _is_stored(row, pair, using):
        return None
    if event:
        _warn_of_expiry(backend, row, event, using)
        announce(event)
    return pair


def _warn_of_expiry(backend: Backend, before: Credential, event: Event, using: str) -> None:
    """Have admins told of an expiry of the refresh token that is near, and that this refresh has not put off."""
    after = event.credential
    expires_at = after.refresh_expires_at if after else None
    if after is None or expires_at is None or not outbox.is_soon(expires_at, after.now()):
        return
    if has_login(backend, after) or _is_put_off(before, after):
        return
    # What the refresh brought is stored by now: whatever the database does here must not take it from the caller.
    try:
        warn = partial(outbox.warn, after.upstream, after.account, expires_at, after.now(), using)
        connections.write_with_retry(warn, using, connections.BLOCKED_SECONDS)
    except Error as error:
        logger.warning("%s: the warning of its expiry was not recorded: %s", after, type(error).__name__)


def _is_put_off(before: Credential, after: Credential) -> bool:
    """Tell whether a refresh has moved the refresh token's expiry about as far as time went on, or that is unknown."""
    moments = before.obtained_at, after.obtained_at, before.refresh_expires_at, after.refresh_expires_at
    if None in moments:
        return True
    obtained_before, obtained, known, expires_at = moments
    passed = obtained - obtained_before
    return bool(passed < _TELLING or expires_at - known > passed / 2)


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
    is_refusal = outcome.verdict in {Verdict.REJECTED, Verdict.LOCKED}
    # What wasn't sent, since it was obtained for other settings, was not refused, nor by the settings that it is for.
    is_foreign = bool(changed_settings(row, backend))
    if is_refusal and not is_foreign:
        details = replace(details, reason=_with_interruption(outcome.full_reason, row))
        return transitions.settle_refusal(row, outcome.verdict.value, using, details, attempt.login)
    is_misconfigured = outcome.verdict is Verdict.CONFIG and not is_foreign
    verdict = Verdict.CONFIG if is_misconfigured else Verdict.TRANSIENT
    details = replace(details, reason=outcome.full_reason, verdict=verdict.value)
    write = partial(transitions.settle_failure, row, _backoff(backend, row, outcome), using, details)
    return write(
        is_ambiguous=outcome.is_ambiguous and not is_foreign,
        is_refused=attempt.is_refused and not is_foreign,
        failed_login=attempt.login if is_refusal else "",
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
