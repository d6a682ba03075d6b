"""What a credential's state means for a caller: a pair to call with, or the error that says what to do."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import NoReturn

from django.utils import timezone
from requests import Response

from jwt_upstream import claims, flights
from jwt_upstream.changes import Changes
from jwt_upstream.exceptions import (
    AccountLocked,
    CredentialError,
    CredentialRejected,
    CredentialUnreadable,
    NotLoggedIn,
    RefreshUnavailable,
    UpstreamError,
    UpstreamMisconfigured,
)
from jwt_upstream.fields import DecryptionError
from jwt_upstream.models import Credential, Event
from jwt_upstream.news import announce
from jwt_upstream.tokens import TokenPair

logger = logging.getLogger("jwt_upstream")

State = Credential.State

_ERRORS: dict[str, type[CredentialError]] = {
    State.LOGGED_OUT: NotLoggedIn,
    State.REJECTED: CredentialRejected,
    State.LOCKED: AccountLocked,
    State.UNREADABLE: CredentialUnreadable,
}
_UNREADABLE = "no configured key opens the stored tokens"


def by_state(credential: Credential, response: Response | None = None) -> CredentialError:
    """Return the error for a credential that needs a human."""
    what = State(credential.state).label
    said = f" ({credential.reason})" if credential.reason else ""
    text = f"{credential} is {what} since {credential.since:%Y-%m-%d %H:%M:%S %Z}{said}; {credential.remedy}"
    error = _ERRORS[credential.state]
    return error(text, credential=credential, since=credential.since, reason=credential.reason, response=response)


def not_logged_in(upstream: str, account: str) -> NotLoggedIn:
    """Return the error for an account of which there is no credential at all."""
    credential = Credential(upstream=upstream, account=account)
    return NotLoggedIn(f"{credential} was never logged in; {credential.remedy}", reason="never logged in")


def unavailable(credential: Credential) -> UpstreamError:
    """Return the error for a credential that couldn't be refreshed and rests until the next attempt."""
    wait = max((credential.next_attempt_at or timezone.now()) - timezone.now(), timedelta(0)).total_seconds()
    since = credential.failing_since or timezone.now()
    text = (
        f"{credential} can't be refreshed since {since:%Y-%m-%d %H:%M:%S %Z} ({credential.failure}); "
        f"next attempt in {wait:.1f} s"
    )
    error = UpstreamMisconfigured if credential.failure_verdict == "config" else RefreshUnavailable
    return error(text, credential=credential, since=since, reason=credential.failure, retry_after=wait)


def find(upstream: str, account: str, *, begin: bool = False) -> Credential:
    """Return the row of an account; raises NotLoggedIn if there is none, unless one is to be made."""
    using = claims.database()
    row = flights.look(using, lambda: claims.find(upstream, account, using))
    if row is None and begin:
        return flights.apart(using, lambda: claims.begin(upstream, account, using))
    if row is None:
        raise not_logged_in(upstream, account)
    return row


def reread(credential: Credential) -> Credential:
    """Return the row as it is now; raises NotLoggedIn if it is gone."""
    using = claims.database()
    row = flights.look(using, lambda: claims.reread(credential, using))
    if row is None:
        raise not_logged_in(credential.upstream, credential.account)
    return row


def usable(row: Credential, login: str = "") -> TokenPair:
    """Return the stored pair; raises CredentialError without touching the network.

    A failed state holds for the tokens that failed only: with others, whoever stored them, or with a key that is back,
    the credential is restored; a rejected one also with an automatic login (its fingerprint) that wasn't refused yet.
    """
    if row.state != State.ACTIVE and not _is_void(row, login):
        raise by_state(row)
    try:
        pair = row.pair
    except DecryptionError:
        _refuse_unreadable(row)
    if row.state != State.ACTIVE:
        _record(partial(claims.restore, row, claims.database(), reason=f"was {row.state}, for other tokens"))
    return pair


def _is_void(row: Credential, login: str) -> bool:
    if row.state == State.REJECTED and login and login != row.failed_login:
        return True
    if row.state == State.LOGGED_OUT:
        return bool(row.access_token or row.refresh_token)
    try:
        return row.pair.fingerprint != row.failed_fingerprint
    except DecryptionError:
        return False


def _refuse_unreadable(row: Credential) -> NoReturn:
    event = _record(partial(claims.mark, row, State.UNREADABLE, claims.database(), reason=_UNREADABLE))
    raise by_state(_after(event, row, State.UNREADABLE, _UNREADABLE))


def lock(credential: Credential, used: TokenPair, reason: str, response: Response) -> None:
    """Record that an answer to a call said the account is locked, and raise AccountLocked.

    Returns if the row holds other tokens by now, which the answer says nothing about.
    """
    Changes.note()  # whoever recorded it, no client of this process goes on with what it remembers
    row = reread(credential)
    if usable(row).access != used.access:
        return
    told = {"verdict": "locked", "status_code": response.status_code}
    event = _record(partial(claims.mark, row, State.LOCKED, claims.database(), reason=reason, **told))
    raise by_state(_after(event, row, State.LOCKED, reason), response)


def leave_alone(credential: Credential, used: TokenPair, seconds: float) -> None:
    """Note that a fresh token got a 401 as well, so that for a while this one is not replaced for a 401.

    Not if it is no longer fresh: a process that was frozen, for one, may come with what has ended meanwhile.
    """
    row, now, pause = reread(credential), timezone.now(), timedelta(seconds=seconds)
    is_fresh = row.obtained_at is not None and now - row.obtained_at < pause
    if is_fresh and row.state == State.ACTIVE and row.pair.access == used.access:
        _record(partial(claims.leave_alone, row, now + pause, claims.database()))


def _record(write: Callable[[], Event | None]) -> Event | None:
    try:
        event = flights.apart(claims.database(), write)
    except flights.DATABASE_AWAY as error:
        # The caller gets its error all the same; the next call comes to the same end and records it.
        logger.warning("not recorded: %s", type(error).__name__)
        return None
    if event:
        announce(event)
    return event


def _after(event: Event | None, row: Credential, state: str, reason: str) -> Credential:
    if event and event.credential:
        return event.credential
    row.state, row.reason, row.since = state, reason, timezone.now()
    return row
