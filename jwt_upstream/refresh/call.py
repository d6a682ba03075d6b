"""The call that is made under a lease: a refresh, or the automatic login in its place; writes nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace

from jwt_upstream.backends import Backend, Outcome, Verdict
from jwt_upstream.clock import elapsed
from jwt_upstream.models import Credential
from jwt_upstream.tokens import TokenPair, fingerprint

_NOTHING_TO_SPEND = "the access token has expired and there is nothing to refresh it with"


@dataclass(frozen=True)
class Attempt:
    """What came of a call; ``login`` is the fingerprint of the automatic login that was tried, "" if none was."""

    outcome: Outcome
    login: str = ""


def login_fingerprint(backend: Backend, credential: Credential) -> str:
    """Return what stands for the automatic login that is configured for a credential, "" if none is.

    It belongs to the account "default", and to any that logged in with the same username: tenants are not mixed up.
    """
    login = backend.automatic_login
    if not login or (credential.account != "default" and credential.username != login.get("username")):
        return ""
    return fingerprint(repr(sorted(login.items())))


def attempt(backend: Backend, row: Credential, pair: TokenPair, give_up_at: float) -> Attempt:
    """Spend the refresh token; if it is refused, or there is none, log in where that may be done without a person.

    Sends nothing that could still be under way at ``give_up_at`` (by ``clock.elapsed``). A refused login is not tried
    twice, and a locked account not at all: repeated attempts lock accounts.
    """
    login = login_fingerprint(backend, row)
    outcome = _with_refresh_token(_refresh(backend, pair), pair)
    if outcome.verdict is not Verdict.REJECTED or not login or login == row.failed_login:
        return Attempt(outcome)
    if elapsed() + backend.deadline > give_up_at:
        return Attempt(replace(outcome, verdict=Verdict.TRANSIENT))
    by_login = backend.login(backend.automatic_login)
    if by_login.verdict is not Verdict.OK:
        by_login = replace(by_login, reason=f"{outcome.reason}; automatic login: {by_login.reason}")
    return Attempt(by_login, login)


def _refresh(backend: Backend, pair: TokenPair) -> Outcome:
    if not backend.can_refresh(pair):
        return Outcome(Verdict.REJECTED, _NOTHING_TO_SPEND)
    try:
        return backend.refresh(pair)
    except Exception as error:
        # A bug in somebody's backend: the lease must be settled, and neither the message nor the frames, which may
        # hold tokens, go anywhere.
        return Outcome(Verdict.TRANSIENT, f"{type(error).__name__} in {type(backend).__name__}.refresh")


def _with_refresh_token(outcome: Outcome, used: TokenPair) -> Outcome:
    # No refresh token in the answer: the one that was used stays good (RFC 6749, section 6).
    new = outcome.pair
    if new is None or new.refresh:
        return outcome
    expires_at = new.refresh_expires_at or used.refresh_expires_at
    return replace(outcome, pair=replace(new, refresh=used.refresh, refresh_expires_at=expires_at))
