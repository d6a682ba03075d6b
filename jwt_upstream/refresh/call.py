"""The call that is made under a lease: a refresh, or the automatic login in its place; writes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from jwt_upstream.backends import Backend, Outcome, Verdict, get_backend
from jwt_upstream.clock import elapsed
from jwt_upstream.exceptions import UpstreamNotConfigured
from jwt_upstream.models import Credential
from jwt_upstream.tokens import TokenPair, fingerprint

#: Said of a credential that works, but not for long.
NOT_RENEWABLE = "can't be renewed: there is no refresh token, and no LOGIN in settings for this account"

_NOTHING_TO_SPEND = Outcome(Verdict.REJECTED, "the access token has expired and there is nothing to refresh it with")
_SPENT = Outcome(Verdict.REJECTED, "the refresh token was refused before")


@dataclass(frozen=True)
class Attempt:
    """What came of a call; ``login`` is the fingerprint of the automatic login that was tried, "" if none was.

    ``is_refused`` means that the refresh token was refused, so that it is not to be sent again.
    """

    outcome: Outcome
    login: str = ""
    is_refused: bool = False


def login_fingerprint(backend: Backend, credential: Credential) -> str:
    """Return what stands for the automatic login that is configured for a credential, "" if none is.

    It belongs to the account "default", and to any that logged in with the same username: tenants are not mixed up.
    """
    login = backend.automatic_login
    if not login or (credential.account != "default" and credential.username != login.get("username")):
        return ""
    return fingerprint(repr([(name, login[name]) for name in sorted(login)]))


def is_renewable(backend: Backend, credential: Credential) -> bool:
    """Tell whether there is anything to get a new access token with: a refresh token, or a way that needs none."""
    has_token = bool(credential.refresh_token) or not backend.needs_refresh_token
    return has_token or bool(login_fingerprint(backend, credential))


def needs_login_soon(row: Credential) -> bool:
    """Tell whether an active credential will need a person once its access token has expired."""
    try:
        return not row.needs_human and not is_renewable(get_backend(row.upstream), row)
    except UpstreamNotConfigured:
        return False


def attempt(backend: Backend, row: Credential, pair: TokenPair, give_up_at: float) -> Attempt:
    """Spend the refresh token; if it is refused, or there is none, log in where that may be done without a person.

    Sends nothing that could still be under way at ``give_up_at`` (by ``clock.elapsed``). A refresh token that was
    refused is not sent twice, and for a locked account there is no login: repeated attempts lock accounts.
    """
    login = login_fingerprint(backend, row)
    outcome = _with_refresh_token(_asked(backend, partial(_refresh, backend, row, pair), "refresh"), pair)
    if outcome.verdict is not Verdict.REJECTED or not login:
        return Attempt(outcome)
    if elapsed() + backend.deadline > give_up_at:
        return Attempt(replace(outcome, verdict=Verdict.TRANSIENT), is_refused=True)
    by_login = _asked(backend, partial(backend.login, backend.automatic_login), "login")
    if by_login.verdict is not Verdict.OK:
        by_login = replace(by_login, reason=_both(by_login, outcome), asked="")
    return Attempt(by_login, login, is_refused=True)


def _refresh(backend: Backend, row: Credential, pair: TokenPair) -> Outcome:
    if not backend.can_refresh(pair):
        return _NOTHING_TO_SPEND
    # With a failure: whoever makes a locked credential active in the database wants it tried.
    if row.failures and row.failed_fingerprint == pair.fingerprint:
        return _SPENT
    return backend.refresh(pair)


def _asked(backend: Backend, ask: Callable[[], Outcome], method: str) -> Outcome:
    try:
        return ask()
    except Exception as error:
        # A bug in somebody's backend: the lease must be settled, and neither the message nor the frames, which may
        # hold tokens, go anywhere.
        return Outcome(Verdict.TRANSIENT, f"{type(error).__name__} in {type(backend).__name__}.{method}")


def _both(by_login: Outcome, by_refresh: Outcome) -> str:
    """Return why the automatic login failed, and why it was tried."""
    refused = "the LOGIN in settings was refused, correct it; " if by_login.verdict is Verdict.REJECTED else ""
    before = "" if by_refresh is _NOTHING_TO_SPEND else f"; refresh: {by_refresh.reason}"
    return f"{refused}automatic login: {by_login.full_reason}{before}"


def _with_refresh_token(outcome: Outcome, used: TokenPair) -> Outcome:
    # No refresh token in the answer: the one that was used stays good (RFC 6749, section 6).
    new = outcome.pair
    if new is None or new.refresh:
        return outcome
    expires_at = new.refresh_expires_at or used.refresh_expires_at
    return replace(outcome, pair=replace(new, refresh=used.refresh, refresh_expires_at=expires_at))
