"""The call that is made under a lease: a refresh, or the automatic login in its place; writes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from jwt_upstream.backends import Backend, Outcome, Verdict, get_backend
from jwt_upstream.clock import elapsed
from jwt_upstream.exceptions import AccountMisconfigured, UpstreamMisconfigured, UpstreamNotConfigured
from jwt_upstream.models import Credential
from jwt_upstream.remedies import OWN_REFUSED
from jwt_upstream.store import queries
from jwt_upstream.tokens import Secrets, TokenPair, fingerprints

#: Said of a credential that works, but not for long.
NOT_RENEWABLE = _("can't be renewed: there is no refresh token, and no LOGIN in settings for this account")

#: Stands for stored tokens that must not be sent, since they were obtained for other settings.
NO_TOKENS = TokenPair("")

_NOTHING_TO_SPEND = Outcome(Verdict.REJECTED, "the access token has expired and there is nothing to refresh it with")
_REFUSED_KEY = Outcome(Verdict.REJECTED, "the upstream refuses the key, which does not expire; another one is needed")
_REFUSED_OPTION = Outcome(Verdict.CONFIG, "the upstream refuses the key that OPTIONS has; put another one there")
_REFUSED_OWN_KEY = Outcome(Verdict.REJECTED, "the upstream refuses the key")
_SPENT = Outcome(Verdict.REJECTED, "the refresh token was refused before")


@dataclass(frozen=True)
class Attempt:
    """What came of a call; ``login`` is the fingerprint of the automatic login that was tried, "" if none was.

    ``is_refused`` means that the refresh token was refused, so that it is not to be sent again.
    """

    outcome: Outcome
    login: str = ""
    is_refused: bool = False


def login_fingerprints(backend: Backend, credential: Credential) -> list[str]:
    """Return what stands for the automatic login that is configured for a credential, by each key; [] if none is.

    It belongs to the account "default", and to any that logged in with the same username: tenants are not mixed up.
    One that is made of what accounts have of their own is each account's.
    Values that are kept elsewhere may be a minute old. If they can't be read, it is as if none were configured.
    """
    try:
        return _fingerprints(backend.automatic_login.read()) if has_login(backend, credential) else []
    except UpstreamMisconfigured:
        return []


def _fingerprints(login: Secrets) -> list[str]:
    return list(fingerprints(repr([(name, login[name]) for name in sorted(login)])))


def has_login(backend: Backend, credential: Credential) -> bool:
    """Tell whether an automatic login is configured for a credential, also if its values can't be read just now."""
    login = backend.automatic_login
    try:
        is_own = login.is_of_account or credential.account == "default"
        return bool(login) and (is_own or login.is_for(credential.username))
    except UpstreamMisconfigured:
        return True


def is_renewable(backend: Backend, credential: Credential) -> bool:
    """Tell whether there is anything to get a new access token with: a refresh token, or a way that needs none."""
    has_token = bool(credential.refresh_token) or not backend.needs_refresh_token
    return has_token or has_login(backend, credential)


def can_replace(backend: Backend, row: Credential) -> bool:
    """Tell whether new tokens can be got without those that are stored, by settings alone."""
    return has_login(backend, row) or backend.can_refresh(NO_TOKENS)


def may_replace(backend: Backend, row: Credential) -> bool:
    """Tell whether new tokens can be got by settings alone, and that wasn't refused before."""
    was_refused = bool(row.failed_login) and row.failed_login in login_fingerprints(backend, row)
    return can_replace(backend, row) and not was_refused


def needs_login_soon(row: Credential) -> bool:
    """Tell whether an active credential will need a person once its access token has expired."""
    try:
        return not row.needs_human and not is_renewable(get_backend(row.upstream, row), row)
    except UpstreamNotConfigured:
        return False


def values_problem(row: Credential) -> str:
    """Return what is wrong with what an account has of its own, "" for nothing; settings that are wrong tell it."""
    try:
        get_backend(row.upstream, row)
    except AccountMisconfigured as error:
        return error.reason
    except UpstreamNotConfigured:
        return ""
    return ""


def misconfigured_among(upstream: str, rows: QuerySet[Credential]) -> Credential | None:
    """Return one of the first active credentials whose account has values of its own that settings don't allow."""
    try:
        if get_backend(upstream).accounts is None:
            return None
    except UpstreamNotConfigured:
        return None
    return next(filter(values_problem, queries.sample(rows)), None)


def never_expires(row: Credential) -> bool:
    """Tell whether a credential is a key, which lasts until it is replaced."""
    try:
        return get_backend(row.upstream, row).is_static
    except UpstreamNotConfigured:
        return False


def attempt(
    backend: Backend, row: Credential, pair: TokenPair, give_up_at: float, *, is_by_hand: bool = False
) -> Attempt:
    """Spend the refresh token; if it is refused, or there is none, log in where that may be done without a person.

    Sends nothing that could still be under way at ``give_up_at`` (by ``clock.elapsed``). A refresh token that was
    refused is not sent twice, and for a locked account there is no login: repeated attempts lock accounts. Nobody has
    refused the access token if it is asked for by hand.
    """
    ask = partial(_refresh, backend, row, pair, is_by_hand=is_by_hand)
    outcome = _with_refresh_token(_asked(backend, ask, "refresh"), pair)
    refused_key = "" if is_by_hand or not backend.is_static or backend.test_path else pair.access
    if _has_key(outcome, refused_key):
        outcome = _REFUSED_OWN_KEY if _has_own_key(backend) else _REFUSED_OPTION
    if outcome.verdict is not Verdict.REJECTED:
        return Attempt(outcome)
    if not has_login(backend, row):
        return Attempt(_of_own(outcome) if _concerns_own(backend, outcome) else outcome)
    try:
        made = _by_login(backend, row, outcome, give_up_at, refused_key)
        if made.outcome.verdict is Verdict.REJECTED and backend.automatic_login.has_changed():
            made = _by_login(backend, row, outcome, give_up_at, refused_key)
        return made
    except UpstreamMisconfigured as error:
        reason = f"{error}; refresh: {outcome.reason}"
        return Attempt(replace(outcome, verdict=Verdict.CONFIG, reason=reason), is_refused=True)


def _has_key(outcome: Outcome, refused_key: str) -> bool:
    """Tell whether an outcome is nothing but the key again that the upstream has refused."""
    return bool(refused_key and outcome.pair and outcome.pair.access == refused_key)


def _has_own_key(backend: Backend) -> bool:
    """Tell whether the key is made of secrets of the account, and not the one that OPTIONS has for all."""
    secrets = backend.own_account_secrets
    return bool(secrets) and backend.api_key in {"", *secrets.values()}


def _by_login(
    backend: Backend, row: Credential, refused: Outcome, give_up_at: float, refused_key: str = ""
) -> Attempt:
    login = backend.automatic_login.read()
    if not has_login(backend, row):  # as its username has been read now
        return Attempt(refused)
    if elapsed() + backend.deadline > give_up_at:
        return Attempt(replace(refused, verdict=Verdict.TRANSIENT), is_refused=True)
    by_login = _asked(backend, partial(backend.login, login), "login")
    if _has_key(by_login, refused_key):
        by_login = _REFUSED_KEY
    if by_login.verdict is not Verdict.OK:
        by_login = replace(by_login, reason=_both(backend, by_login, refused), asked="")
    return Attempt(by_login, _fingerprints(login)[0], is_refused=True)


def _refresh(backend: Backend, row: Credential, pair: TokenPair, *, is_by_hand: bool) -> Outcome:
    if not backend.can_refresh(pair):
        if backend.is_static and is_by_hand and pair.access and not has_login(backend, row):
            return Outcome(Verdict.OK, pair=pair)
        return _REFUSED_KEY if backend.is_static else _NOTHING_TO_SPEND
    # With a failure: whoever makes a locked credential active in the database wants it tried.
    if row.failures and pair.has_fingerprint(row.failed_fingerprint):
        return _SPENT
    return backend.refresh(pair)


def _asked(backend: Backend, ask: Callable[[], Outcome], method: str) -> Outcome:
    try:
        return ask()
    except Exception as error:
        # A bug in somebody's backend: the lease must be settled, and neither the message nor the frames, which may
        # hold tokens, go anywhere.
        return Outcome(Verdict.TRANSIENT, f"{type(error).__name__} in {type(backend).__name__}.{method}")


def _both(backend: Backend, by_login: Outcome, by_refresh: Outcome) -> str:
    """Return why the automatic login failed, and why it was tried."""
    before = "" if by_refresh in (_NOTHING_TO_SPEND, _REFUSED_KEY) else f"; refresh: {by_refresh.reason}"
    reason = f"automatic login: {by_login.full_reason}{before}"
    if by_login.verdict is not Verdict.REJECTED:
        return reason
    if _concerns_own(backend, by_login):
        return OWN_REFUSED % {"reason": reason}
    return f"the LOGIN in settings was refused, correct it; {reason}"


def _concerns_own(backend: Backend, refused: Outcome) -> bool:
    """Tell whether a refusal is about what the account has of its own, and not about its tokens or the settings."""
    is_no_token = refused.is_client_refused or backend.is_static or backend.is_unattended
    return backend.automatic_login.is_of_account or (is_no_token and bool(backend.own_account_secrets))


def _of_own(refused: Outcome) -> Outcome:
    return replace(refused, reason=OWN_REFUSED % {"reason": refused.full_reason}, asked="")


def _with_refresh_token(outcome: Outcome, used: TokenPair) -> Outcome:
    # No refresh token in the answer: the one that was used stays good (RFC 6749, section 6), as do other values.
    new = outcome.pair
    if new is None:
        return outcome
    if missing := used.answer.keys() - new.answer.keys():
        new = replace(new, answer=Secrets(new.answer, **{name: used.answer[name] for name in missing}))
    if not new.refresh:
        expires_at = new.refresh_expires_at or used.refresh_expires_at
        new = replace(new, refresh=used.refresh, refresh_expires_at=expires_at)
    return replace(outcome, pair=new)
