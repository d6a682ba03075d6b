"""Getting a first pair: by a login with what the backend asks for, or adopted from elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from functools import partial

from jwt_upstream import recorded
from jwt_upstream.backends import Backend, Outcome, Verdict, get_backend
from jwt_upstream.clock import Clock, dated_by
from jwt_upstream.exceptions import (
    AccountLocked,
    LoginRejected,
    NotLoggedIn,
    RefreshUnavailable,
    UpstreamError,
    UpstreamMisconfigured,
)
from jwt_upstream.formatting import one_line
from jwt_upstream.models import Credential
from jwt_upstream.names import check_name, command, full_name
from jwt_upstream.refresh import database_clock, find, is_renewable, write_or_raise
from jwt_upstream.store import EventDetails, queries, transitions
from jwt_upstream.tokens import Secrets, TokenPair
from jwt_upstream.tracebacks import without_variables

logger = logging.getLogger("jwt_upstream")

_ERRORS: dict[Verdict, type[UpstreamError]] = {
    Verdict.REJECTED: LoginRejected,
    Verdict.LOCKED: AccountLocked,
    Verdict.CONFIG: UpstreamMisconfigured,
}


@without_variables
def login(
    upstream: str, account: str, credentials: Mapping[str, str], *, by: str = "", backend: Backend | None = None
) -> Credential:
    """Log in with what the backend asks for and store the pair; on any failure what was stored before is kept.

    Logs a warning if the pair can't be renewed, since a refresh token is missing; the event's reason says so too.

    ``backend`` is the upstream's configured one by default. Raises LoginRejected, AccountLocked, UpstreamMisconfigured
    or RefreshUnavailable; TypeError if something is missing; ValueError, before anything is sent, for an account or
    username that is not 1 to 255 printable characters.
    """
    credentials = Secrets(credentials)
    check_name("account", account)
    if username := credentials.get("username", ""):
        check_name("username", username)
    backend = backend or get_backend(upstream, account)
    clock = login_clock(upstream, account)
    with dated_by(clock):
        outcome = backend.login(credentials)
    return keep(backend, account, outcome, clock, by=by, username=username)


def keep(
    backend: Backend, account: str, outcome: Outcome, clock: Clock, *, by: str = "", username: str = ""
) -> Credential:
    """Store the pair that a login brought; raises what it failed of, as ``login`` does."""
    upstream = backend.alias
    if outcome.verdict is not Verdict.OK or outcome.pair is None:
        raise refused(upstream, account, outcome)
    details = EventDetails(outcome.notice, "ok", outcome.status_code, outcome.seconds, by)
    pair = outcome.pair.with_credible_expiry(clock.now())
    credential = _store(backend, account, pair, username, details)
    if outcome.notice and not is_renewable(backend, credential):
        logger.warning("%s can't be renewed once its access token expires: %s", credential, one_line(outcome.notice))
    return credential


def login_clock(upstream: str, account: str) -> Clock:
    """Return the database's clock; raises what is wrong with the database, a missing table say, before the login."""
    with suppress(NotLoggedIn):
        find(upstream, account)
    return database_clock(full_name(upstream, account))


def refused(upstream: str, account: str, outcome: Outcome) -> UpstreamError:
    """Return the error of a login that failed."""
    error = _ERRORS.get(outcome.verdict, RefreshUnavailable)
    text, is_down = recorded.LOGIN_FAILED, (outcome.status_code or 0) >= 500
    if error is UpstreamMisconfigured or (outcome.asked and not is_down):
        text = recorded.LOGIN_FAILED_SEE
    said = {"reason": outcome.full_reason, "command": command("upstream_probe", upstream)}
    return error(
        text % {"account": full_name(upstream, account), **said},
        reason=outcome.full_reason,
        retry_after=outcome.retry_after,
    )


@without_variables
def adopt(upstream: str, account: str, pair: TokenPair, *, by: str = "") -> Credential:
    """Store a pair that was obtained elsewhere; an unknown expiry is taken from the token's claims if it is a JWT."""
    check_name("account", account)
    backend = get_backend(upstream, account)
    is_alone = backend.needs_refresh_token and not pair.refresh
    reason = recorded.ADOPTED_ALONE if is_alone else recorded.ADOPTED
    return _store(backend, account, pair.with_claims(), "", EventDetails(reason, "ok", by=by))


def _store(backend: Backend, account: str, pair: TokenPair, username: str, details: EventDetails) -> Credential:
    write = partial(
        transitions.log_in,
        backend.alias,
        account,
        pair,
        queries.database(),
        username=username,
        details=details,
        keep_alive=backend.keep_alive,
        obtained_for=backend.binding,
    )
    event = write_or_raise(write, full_name(backend.alias, account))
    return event.credential  # type: ignore[return-value]
