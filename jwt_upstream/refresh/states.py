"""What a credential's state and binding mean for a caller: a pair to call with, or the error that says what to do."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from copy import copy
from datetime import datetime, timedelta
from functools import partial
from typing import NoReturn, TypeVar

from django.db import Error
from django.utils.translation import gettext as _
from requests import Response

from jwt_upstream.backends import Backend, get_backend
from jwt_upstream.binding import Change, changes, described
from jwt_upstream.clock import Clock
from jwt_upstream.conf import conf
from jwt_upstream.exceptions import (
    AccountLocked,
    AccountMisconfigured,
    CredentialError,
    CredentialMismatch,
    CredentialRejected,
    CredentialUnreadable,
    NotLoggedIn,
    RefreshUnavailable,
    UpstreamError,
    UpstreamMisconfigured,
    UpstreamNotConfigured,
)
from jwt_upstream.fields import DecryptionError
from jwt_upstream.languages import in_english
from jwt_upstream.models import Credential, Event
from jwt_upstream.names import command, full_name
from jwt_upstream.process import PerProcess
from jwt_upstream.recorded import translated
from jwt_upstream.store import EventDetails, connections, incidents, is_away, is_locked, queries, transitions
from jwt_upstream.tokens import TokenPair

from .record import database_away, record_if_possible, write_or_raise

T = TypeVar("T")

logger = logging.getLogger("jwt_upstream")

State = Credential.State

#: Begins the reason of an event of a login in place of tokens that are for other settings.
MOVED = "in place of tokens for other settings: "
#: How many of these may be made in so many seconds: while two settings are in use, each side replaces the other's.
_MOST_MOVES, _MOVES_SECONDS = 4, 60.0
#: The mismatches that this process has logged, each once; it begins anew after so many.
_MOST_LOGGED = 1000
_logged: PerProcess[set[tuple[int, str]]] = PerProcess(set)

_ERRORS: dict[str, type[CredentialError]] = {
    State.LOGGED_OUT: NotLoggedIn,
    State.REJECTED: CredentialRejected,
    State.LOCKED: AccountLocked,
    State.UNREADABLE: CredentialUnreadable,
}


@in_english()
def by_state(credential: Credential, response: Response | None = None) -> CredentialError:
    """Return the error for a credential that needs a human."""
    error, since = _ERRORS[credential.state], credential.since
    return error(
        _failed_text(credential), credential=credential, since=since, reason=credential.reason, response=response
    )


def _failed_text(credential: Credential) -> str:
    text = _("%(credential)s has been %(state)s since %(when)s; %(remedy)s")
    if credential.reason:
        text = _("%(credential)s has been %(state)s since %(when)s (%(reason)s); %(remedy)s")
    said = {"reason": translated(credential.reason), "remedy": credential.remedy}
    when = f"{credential.since:%Y-%m-%d %H:%M:%S %Z}"
    return text % {"credential": credential, "state": State(credential.state).label, "when": when, **said}


@in_english()
def not_logged_in(upstream: str, account: str) -> NotLoggedIn:
    """Return the error for an account of which there is no credential at all."""
    credential = Credential(upstream=upstream, account=account)
    return NotLoggedIn(_never_text(credential), credential=credential, reason="never logged in")


def _never_text(credential: Credential) -> str:
    text = _("%(credential)s was never logged in; %(remedy)s")
    return text % {"credential": credential, "remedy": credential.remedy}


def changed_settings(row: Credential, backend: Backend) -> list[Change]:
    """Return what the stored tokens were obtained for that settings name differently now; [] if they may be used."""
    return changes(row.obtained_for, backend.binding, is_misconfigured=row.failure_verdict == "config")


def mismatch(row: Credential, found: Sequence[Change]) -> CredentialMismatch:
    """Return the error for tokens that were obtained for other settings, to be raised."""
    with in_english():
        reason = mismatch_reason(row, found)
        return CredentialMismatch(_mismatch_text(row, reason), credential=row, reason=reason)


def _mismatch_text(row: Credential, reason: str) -> str:
    text = _("%(credential)s: nothing was sent, since its tokens were %(reason)s; %(remedy)s")
    return text % {"credential": row, "reason": reason, "remedy": rebinding(row)}


def mismatch_reason(row: Credential, found: Sequence[Change]) -> str:
    """Return in what settings differ from those that tokens were obtained for, in the reader's language."""
    reason = _("obtained for other settings: %(changes)s") % {"changes": described(found)}
    return f"{reason}; {row.failure}" if row.failed_login else reason  # of the automatic login in their place


def what_differs(row: Credential) -> str:
    """Return the same of a row whose upstream is configured."""
    return mismatch_reason(row, changed_settings(row, get_backend(row.upstream, row)))


def in_words(error: Exception) -> str:
    """Return what an error says, in the reader's language where a person must do something; the error is English."""
    row = getattr(error, "credential", None)
    if isinstance(error, CredentialMismatch) and isinstance(row, Credential):
        return _mismatch_text(row, what_differs(row))
    if isinstance(error, CredentialError) and isinstance(row, Credential) and row.needs_human:
        return _failed_text(row) if row.pk else _never_text(row)
    return translated(_(str(error)))  # which gettext_noop may have marked


def rebinding(row: Credential) -> str:
    """Return what a person should do about tokens that were obtained for other settings."""
    text = _("put the settings back, or confirm that the tokens are for these too: %(confirm)s, or log in: %(log_in)s")
    confirm = command("upstream_rebind", row.upstream, row.account)
    return text % {"confirm": confirm, "log_in": row.log_in_command}


def mismatched(row: Credential) -> CredentialMismatch | None:
    """Return the error for tokens that were obtained for other settings than those of the row's upstream."""
    try:
        found = changed_settings(row, get_backend(row.upstream, row))
    except UpstreamNotConfigured:
        return None
    return mismatch(row, found) if found else None


def check_bound(row: Credential, backend: Backend) -> None:
    """Raise CredentialMismatch if the stored tokens were obtained for other settings; logs that once per process."""
    if found := changed_settings(row, backend):
        raise logged(mismatch(row, found), row)


def logged(error: CredentialMismatch, row: Credential) -> CredentialMismatch:
    """Log the error of a credential unless this process has done so already, and return it."""
    seen, key = _logged(), (row.pk, error.reason)
    if key not in seen:
        if len(seen) >= _MOST_LOGGED:
            seen.clear()
        seen.add(key)
        logger.error("%s", error, extra={"upstream": row.upstream, "account": row.account})
    return error


def check_moves(row: Credential) -> None:
    """Raise RefreshUnavailable if workers with different settings have replaced each other's tokens too often."""
    count = partial(queries.number_of_late, row, MOVED, _MOVES_SECONDS, queries.database())
    if _read(str(row), count) >= _MOST_MOVES:
        reason = "workers with different settings log in one after the other, each in place of the other's tokens"
        text = f"{row}: {reason}; stop those with the old settings, or try again in a minute"
        raise RefreshUnavailable(text, credential=row, reason=reason, retry_after=_MOVES_SECONDS)


def outlasts(row: Credential, own: Credential, expires_at: datetime | None) -> bool:
    """Tell whether a token that was read with a row before is still good, although the row has another one by now."""
    if expires_at is not None and expires_at <= row.now():
        return False
    since = own.obtained_at or row.now()
    return not _read(str(row), partial(queries.has_ended, row, since, queries.database()))


def unavailable(credential: Credential) -> UpstreamError:
    """Return the error for a credential whose refresh failed and is not tried again before the backoff is over."""
    now = credential.now()
    wait = max((credential.next_attempt_at or now) - now, timedelta(0)).total_seconds()
    since = credential.failing_since or now
    text = (
        f"{credential} could not be refreshed since {since:%Y-%m-%d %H:%M:%S %Z} ({credential.failure}); "
        f"next attempt in {wait:.1f} s"
    )
    error: type[UpstreamError] = RefreshUnavailable
    if credential.failure_verdict == "config":
        text, error = (
            f"{text}; {command('upstream_probe', credential.upstream)} shows what is sent",
            UpstreamMisconfigured,
        )
    return error(text, credential=credential, since=since, reason=credential.failure, retry_after=wait)


def find(upstream: str, account: str, *, begin: bool = False) -> Credential:
    """Return the row of an account; raises NotLoggedIn if there is none, or creates it if ``begin`` is set."""
    using = queries.database()
    row = _read(full_name(upstream, account), lambda: queries.find(upstream, account, using))
    if row is None and begin:
        return write_or_raise(lambda: transitions.begin(upstream, account, using), full_name(upstream, account))
    if row is None:
        raise not_logged_in(upstream, account)
    return row


def reread(credential: Credential) -> Credential:
    """Return the row as it is now; raises NotLoggedIn if it is gone."""
    using = queries.database()
    row = _read(str(credential), lambda: queries.reread(credential, using))
    if row is None:
        raise not_logged_in(credential.upstream, credential.account)
    return row


def database_clock(what: str) -> Clock:
    """Return the database's clock, where there is no row yet; raises RefreshUnavailable while the database is away."""
    return _read(what, partial(queries.clock, queries.database()))


def _read(what: str, read: Callable[[], T]) -> T:
    using = queries.database()
    try:
        try:
            return connections.read_without_lock(using, read)
        except Error as error:
            if not is_away(error) or is_locked(error) or connections.in_transaction(using):
                raise
            connections.reconnect(using)  # the server may have cut it a while ago, and no query has noticed yet
            return connections.read_without_lock(using, read)
    except Error as error:
        if not is_away(error):
            raise
        raise database_away(what, error) from None


def usable(row: Credential, logins: Callable[[], Sequence[str]] = tuple) -> TokenPair:
    """Return the stored pair; raises CredentialError without touching the network.

    A failed state holds for the tokens that failed only: with others, whoever stored them, or with a key that is back,
    the credential is restored; a rejected one also with an automatic login that wasn't refused yet, whose fingerprints
    ``logins`` returns.
    """
    if row.state != State.ACTIVE and not _failure_is_obsolete(row, logins):
        raise by_state(row)
    try:
        pair = row.pair
    except DecryptionError as error:
        _raise_unreadable(row, EventDetails(error.reason))
    if row.unreadable_since and row.state == State.ACTIVE:
        _note_readable(row, row.unreadable_since)
    if row.state != State.ACTIVE:
        details = EventDetails(f"was {row.state}, for other tokens")
        record_if_possible(partial(transitions.restore, row, queries.database(), details))
    return pair


def check_readable(row: Credential) -> None:
    """Raise CredentialUnreadable, as ``usable`` does, if no key decrypts the stored tokens."""
    try:
        row.pair  # noqa: B018 -- raises
    except DecryptionError:
        usable(row)


def own_backend(backend: Backend, row: Credential) -> Backend:
    """Return the backend of what the account has of its own; raises AccountMisconfigured, which admins are told of."""
    if backend.accounts is None:
        return backend
    try:
        own = get_backend(backend.alias, row)
    except AccountMisconfigured as error:
        note_misconfigured(row, error)
        raise
    if backend.recorder:
        own = copy(own)
        own.recorder = backend.recorder
    return own


def note_misconfigured(row: Credential, error: AccountMisconfigured) -> None:
    """Have admins told of an account whose own values settings don't allow: once, however many of the upstream's are.

    Only of an active credential, since of the others they know. Raises CredentialUnreadable if no key decrypts the
    tokens, which is told as such, and RefreshUnavailable while the database is away.
    """
    check_readable(row)
    using = queries.database()
    if row.needs_human or _read(str(row), partial(incidents.is_open, row.upstream, using)):
        return
    now = database_clock(str(row)).now()
    record_if_possible(partial(incidents.note_misconfigured, row, error.reason, now, using))


def _failure_is_obsolete(row: Credential, logins: Callable[[], Sequence[str]]) -> bool:
    if row.state == State.REJECTED and (found := logins()) and row.failed_login not in found:
        return True
    if row.state == State.LOGGED_OUT:
        return bool(row.access_token or row.refresh_token)
    try:
        return not row.pair.has_fingerprint(row.failed_fingerprint)
    except DecryptionError:
        return False


def _raise_unreadable(row: Credential, details: EventDetails) -> NoReturn:
    # It may be this process that has the wrong keys: the state is everybody's, so it is written only if it lasts.
    event, seconds = None, conf.outage_seconds
    if row.unreadable_since is None or row.now() - row.unreadable_since >= timedelta(seconds=seconds):
        mark = partial(transitions.mark_unreadable, row, seconds, queries.database(), details)
        event = record_if_possible(mark)
    found = _after(event, row, State.UNREADABLE, details.reason)
    found.since = row.unreadable_since or found.since
    raise by_state(found)


def _note_readable(row: Credential, since: datetime) -> None:
    # Not at once: a process with the wrong keys, which begins to count anew, must not cause a write at each call.
    if row.now() - since >= timedelta(seconds=conf.outage_seconds / 2):
        record_if_possible(partial(transitions.note_readable, row, queries.database()))


def lock(credential: Credential, used: TokenPair, reason: str, response: Response) -> CredentialError | None:
    """Record that an answer to a call said the account is locked; return the error to raise.

    Returns None if the row holds another access token by now, of which the answer says nothing. Raises CredentialError
    if the credential needs a human for another reason by now, and RefreshUnavailable while the database is away.
    """
    row = reread(credential)
    if usable(row).access != used.access:
        return None
    details = EventDetails(reason, verdict="locked", status_code=response.status_code)
    event = record_if_possible(partial(transitions.mark, row, State.LOCKED, queries.database(), details))
    return by_state(_after(event, row, State.LOCKED, reason), response)


def locked(credential: Credential, reason: str, response: Response) -> CredentialError:
    """Return the error of an account of which an answer said that it is locked, where that can't be recorded."""
    return by_state(_after(None, copy(credential), State.LOCKED, reason), response)


def suppress_refresh(credential: Credential, used: TokenPair, seconds: float) -> None:
    """Note that a fresh token got a 401 as well, so that for a while no 401 has it replaced.

    Not if it is no longer fresh: a process that was frozen, for one, may come with a token that has expired meanwhile.
    Raises RefreshUnavailable while the database is away, and CredentialError if there is no such token any more.
    """
    row = reread(credential)
    is_fresh = row.obtained_at is not None and row.now() - row.obtained_at < timedelta(seconds=seconds)
    if is_fresh and row.state == State.ACTIVE and usable(row).access == used.access:
        record_if_possible(partial(transitions.suppress_refresh, row, seconds, queries.database()))


def _after(event: Event | None, row: Credential, state: str, reason: str) -> Credential:
    if event and event.credential:
        return event.credential
    row.state, row.reason, row.since = state, reason, row.now()
    return row
