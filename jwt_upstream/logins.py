"""Logging in and out, adopting tokens that were obtained elsewhere, and trying again on a person's word."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

from jwt_upstream import claims, flights
from jwt_upstream.backends import Outcome, Verdict, get_backend
from jwt_upstream.exceptions import (
    AccountLocked,
    LoginRejected,
    RefreshBlocked,
    RefreshUnavailable,
    UpstreamError,
    UpstreamMisconfigured,
)
from jwt_upstream.fields import DecryptionError
from jwt_upstream.models import Credential
from jwt_upstream.news import announce, announce_recovery
from jwt_upstream.refresh import refresh
from jwt_upstream.states import by_state, reread, usable
from jwt_upstream.tokens import Secrets, TokenPair

T = TypeVar("T")

_ERRORS: dict[Verdict, type[UpstreamError]] = {
    Verdict.REJECTED: LoginRejected,
    Verdict.LOCKED: AccountLocked,
    Verdict.CONFIG: UpstreamMisconfigured,
}


def login(upstream: str, account: str, credentials: Mapping[str, str], *, by: str = "") -> Credential:
    """Log in with what the backend asks for and store the pair; on any failure what was stored before is kept.

    Raises LoginRejected, AccountLocked, UpstreamMisconfigured or RefreshUnavailable; TypeError if something is
    missing.
    """
    credentials = Secrets(credentials)
    backend = get_backend(upstream)
    outcome = backend.login(credentials)
    if outcome.verdict is not Verdict.OK or outcome.pair is None:
        raise _refused(upstream, account, outcome)
    return _store(upstream, account, outcome.pair, credentials.get("username", ""), by, outcome)


def _refused(upstream: str, account: str, outcome: Outcome) -> UpstreamError:
    error = _ERRORS.get(outcome.verdict, RefreshUnavailable)
    text = f"{upstream}/{account}: login failed: {outcome.reason}"
    return error(text, reason=outcome.reason, retry_after=outcome.retry_after)


def adopt(upstream: str, account: str, pair: TokenPair, *, by: str = "") -> Credential:
    """Store a pair that was obtained elsewhere; unknown lifetimes are taken from the tokens where they are JWTs."""
    get_backend(upstream)
    return _store(upstream, account, pair.with_claims(), "", by, Outcome(Verdict.OK, "adopted"))


def _store(upstream: str, account: str, pair: TokenPair, username: str, by: str, outcome: Outcome) -> Credential:
    using = claims.database()
    told = {"verdict": "ok", "status_code": outcome.status_code, "seconds": outcome.seconds, "by": by}
    reason = "" if outcome.status_code else outcome.reason
    write = partial(claims.log_in, upstream, account, pair, using, username=username, reason=reason, **told)
    event = _written(using, write, f"{upstream}/{account}")
    announce(event)
    announce_recovery(upstream, using)
    return event.credential  # type: ignore[return-value]


def _written(using: str, write: Callable[[], T], what: str) -> T:
    is_bound = flights.in_transaction(using)
    try:
        return flights.apart(using, write)
    except flights.DATABASE_AWAY as error:
        if not is_bound:
            raise
        text = f"{what}: not stored: the calling transaction holds a lock on it; commit first"
        raise RefreshBlocked(text, reason=type(error).__name__) from None


def log_out(upstream: str, account: str, *, by: str = "") -> None:
    """Forget the tokens; calls raise NotLoggedIn until the next login. The upstream is not told."""
    using = claims.database()
    while row := claims.find(upstream, account, using):
        event = _written(using, partial(claims.log_out, row, using, by=by), str(row))
        if event:
            announce(event)
            return


def try_again(credential: Credential, *, by: str = "") -> TokenPair:
    """Refresh with the stored tokens on a person's word, whatever state and pause there is.

    Servers often keep a refresh token good while its user is locked (Symfony does). Raises as ``refresh`` does.
    """
    using = claims.database()
    row = reread(credential)
    if row.state == Credential.State.LOGGED_OUT:
        raise by_state(row)
    if not _is_readable(row):
        usable(row)  # records that, and raises
    restored = _written(using, partial(claims.restore, row, using, reason="tried again", by=by), str(row))
    if restored:
        announce(restored)
    return refresh(reread(row))


def _is_readable(row: Credential) -> bool:
    try:
        return bool(row.pair)
    except DecryptionError:
        return False
