"""The base of all backends: requests tokens of an upstream, and says what its answers mean.

Knows HTTP and no database. What differs between servers is class attributes, which OPTIONS override per upstream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Self

from requests import Request, Response

from jwt_upstream import clock
from jwt_upstream.headers import plain_name
from jwt_upstream.names import full_name
from jwt_upstream.tokens import NOTHING, Secrets, TokenPair
from jwt_upstream.tracebacks import without_variables

from .accounts import Accounts
from .authorization import Authorization
from .calls import UnusableAnswer
from .core import (
    ELSEWHERE,
    Outcome,
    Rule,
    Verdict,
    Where,
    asked,
    is_html,
    is_success,
    lookup,
    options,
    placeholders,
    shown,
    waits,
    without_token,
)
from .device import DeviceCode, DeviceRequests, begun, polled
from .exchanges import Exchange, Exchanges, Read
from .secrets import Login

#: The methods whose arguments are passwords and tokens.
_SENSITIVE_METHODS = {
    "authorization_request",
    "authorization_response",
    "login",
    "login_body",
    "login_request",
    "refresh",
    "refresh_body",
    "refresh_request",
    "revoke",
    "revoke_body",
    "revoke_request",
    "authorize",
    "token_pair",
    "assertion",
    "signed",
    "device_request",
    "device_login_request",
}

#: How long a logout waits for the upstream at most: it is a courtesy, and the tokens are forgotten by then.
_REVOKE_SECONDS = 5.0


class _NothingToTell(Exception):
    """A backend has no request for a logout."""


def _revocation(pair: TokenPair, backend: Backend, _: Secrets) -> Request:
    request = backend.revoke_request(pair)
    if request is None:
        raise _NothingToTell
    return request


def _read(where: Where, started: datetime, secrets: Secrets) -> Read:
    """Return what reads the answer to a login or refresh."""

    def read(backend: Backend, response: Response, kept: Secrets) -> Outcome:
        return backend._answered(where, started, secrets, response, kept)

    return read


class Backend(Exchanges, Authorization, DeviceRequests):
    """Sends JSON to a login path and a refresh path; every annotated attribute is an option. Times are in seconds.

    ``jwt_upstream.typing.options`` says what each option does.
    """

    timeout: float | tuple[float, float] = (3.05, 20.0)
    deadline: float = 10.0
    keep_cookies: bool = False
    retries: int = 0
    retry_backoff_max: float = 10.0

    backoff: float = 1.0
    backoff_max: float = 60.0
    refresh_leeway: float = 60.0
    min_refresh_interval: float = 60.0
    keep_alive: float = 7.0
    max_concurrent_refreshes: int = 4
    max_concurrent_refreshes_overall: int = 0

    #: Whether its tokens never expire, so that one which is refused is of no use any more.
    is_static = False
    #: Whether tokens are asked for at all; without an annotation, since it is no option.
    has_token_endpoint = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Keep the variables of a subclass's overrides, which may be secrets, out of tracebacks."""
        super().__init_subclass__(**kwargs)
        for name in _SENSITIVE_METHODS & cls.__dict__.keys():
            setattr(cls, name, without_variables(cls.__dict__[name]))

    def __init__(self, alias: str, base_url: str, /, **options: Any) -> None:
        super().__init__(alias, base_url, **options)
        #: The LOGIN in settings, used when a refresh is impossible; false if only a person can log in.
        self.automatic_login = Login()
        #: What ACCOUNTS in settings declares, and the backend that no account's values were filled into, which sends
        #: nothing; without ACCOUNTS that is this one.
        self.accounts: Accounts | None = None
        self.has_addresses = bool(self.base_url_paths)
        self.template: Backend = self

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {full_name(self.alias)}>"

    # -- settings

    def check(self) -> Iterable[str]:
        """Yield a sentence for each mistake in the settings; sends nothing."""
        written = {**self._options, **dict.fromkeys(self._secrets.names, ELSEWHERE)}
        yield from self._secrets.check()
        yield from self._check_places()
        in_calls = {*placeholders([self.api_headers, self.api_query, self.authorize_params])}
        for name in [name for name in self._secrets.names if name in in_calls - self.own_account_secrets.keys()]:
            yield f"calls and authorize_params can't contain a {name} that is kept elsewhere, or several"
        wrong = list(options.problems(type(self).__name__, written, self.option_types()))
        yield from wrong or (*self._check_values(), *self._check_rules())
        yield from self.automatic_login.check(self.login_asks)
        yield from self.accounts.check() if self.accounts else ()

    def unreadable_secrets(self) -> Iterable[str]:
        """Yield a sentence for each secret whose file or dotted path is wrong; calls and sends nothing."""
        yield from (*self._secrets.unreadable(self._examined), *self.automatic_login.unreadable())

    def _examined(self, name: str, content: str) -> str:
        return self._with(Secrets({name: content})).unready()

    def _check_values(self) -> Iterable[str]:
        yield from self._check_requests()
        yield from self._check_certificates()
        if self.deadline <= 0:
            yield "deadline must be more than 0"
        if self.timeout == 0 or (isinstance(self.timeout, list | tuple) and 0 in self.timeout):
            yield "timeout must be more than 0"
        if self.max_concurrent_refreshes < 1:
            yield "max_concurrent_refreshes must be at least 1"
        if self.keep_cookies and "cookie" in map(plain_name, self.api_headers):
            yield "keep_cookies would add to the Cookie in api_headers, where cookies are the token's; take one out"
        yield from self._check_responses()
        yield from self._check_steps()
        yield from waits.problems(self.rate_limit_headers)
        yield from self._check_calls(self.kept_names)

    def _check_rules(self) -> Iterable[str]:
        for source, rule in self._written_rules():
            try:
                Rule.parse(rule)
            except ValueError as error:
                yield f"{error} ({source})"

    @property
    def logs_in_by_itself(self) -> bool:
        """Tell whether the account "default" gets its first tokens at its first call.

        Where accounts have values of their own, any one that is registered does, which its own backend tells.
        """
        return not self.is_of_no_account and (bool(self.automatic_login) or self.is_unattended)

    @property
    def is_of_no_account(self) -> bool:
        """Tell whether the values of an account must be filled in before it can send anything."""
        return self.accounts is not None and self.template is self

    # -- requests

    def _with_secrets(self, ask: Callable[[Self, float], Outcome], seconds: float) -> Outcome:
        if self.is_of_no_account:
            return Outcome(Verdict.CONFIG, "nothing was sent: which account it is for is not known")
        return super()._with_secrets(ask, seconds)

    @without_variables
    def login(self, credentials: Mapping[str, str]) -> Outcome:
        """Request a first token pair; raises nothing for what the upstream or network does.

        Sends one request, and before it one for each of ``login_steps``.

        Raises TypeError if a value that ``login_asks`` names is missing.
        """
        credentials = Secrets(credentials)
        if missing := [name for name in self.login_asks if name not in credentials]:
            raise TypeError(f"a login at {self.alias} needs {', '.join(missing)}")
        return self._log_in("login", credentials)

    def _log_in(self, where: Where, credentials: Secrets) -> Outcome:
        def request(backend: Backend, kept: Secrets) -> Request:
            return backend.login_request(Secrets({**credentials, **kept}) if kept else credentials)

        read = _read(where, clock.now(), credentials)
        return self._ask(Exchange(request, credentials, read, self.steps), self.deadline)

    @without_variables
    def refresh(self, pair: TokenPair) -> Outcome:
        """Request a new pair, which may spend the refresh token; sends and raises no more than ``login`` does."""
        if self._repeats_login:
            return self._log_in("refresh", Secrets())
        secrets = Secrets(refresh=pair.refresh, access=pair.access)
        read = _read("refresh", clock.now(), secrets)
        return self._ask(Exchange(lambda backend, _: backend.refresh_request(pair), secrets, read), self.deadline)

    @without_variables
    def revoke(self, pair: TokenPair) -> Outcome | None:
        """Tell the upstream that a pair is no longer used (RFC 7009), within ``deadline`` or five seconds.

        The outcome is OK also if the upstream says that the tokens are dead already; its ``pair`` is None. Returns
        None, and sends nothing, without a ``revoke_path`` or the tokens that it takes. Raises no more than ``login``.
        """
        is_ours = type(self).revoke_request is Backend.revoke_request
        if is_ours and not self._can_revoke(pair):
            return None  # before secrets are read for it
        secrets = Secrets(refresh=pair.refresh, access=pair.access)

        def read(backend: Backend, response: Response, kept: Secrets) -> Outcome:
            return backend._revoked(secrets, response)

        try:
            return self._ask(Exchange(partial(_revocation, pair), secrets, read), min(self.deadline, _REVOKE_SECONDS))
        except _NothingToTell:
            return None

    @without_variables
    def begin_device_login(self) -> Outcome:
        """Request the codes of a device login; a DeviceBegun if they came. Sends and raises no more than ``login``."""
        started = clock.now()

        def read(backend: Backend, response: Response, kept: Secrets) -> Outcome:
            reason = backend.reason(response, backend.own_secrets)
            return begun(response, backend.outcome("login", response, started), reason)

        return self._ask(Exchange(lambda backend, _: backend.device_request(), Secrets(), read), self.deadline)

    @without_variables
    def poll_device_login(self, code: DeviceCode) -> Outcome:
        """Ask whether a device login is confirmed: a DevicePending if not yet, else an outcome as of ``login``."""
        secret = code.secret
        read_login = _read("login", clock.now(), secret)

        def read(backend: Backend, response: Response, kept: Secrets) -> Outcome:
            return polled(response, read_login(backend, response, kept))

        return self._ask(
            Exchange(lambda backend, _: backend.device_login_request(secret), secret, read), self.deadline
        )

    def _answered(
        self, where: Where, started: datetime, secrets: Secrets, response: Response, kept: Secrets
    ) -> Outcome:
        outcome = self.outcome(where, response, started, [*secrets.values(), *map(str, kept.values())], kept)
        if self.recorder:
            self.recorder(where, response)
        return outcome

    def _revoked(self, secrets: Secrets, response: Response) -> Outcome:
        found, known = self.explain("refresh", response), [*secrets.values(), *self.own_secrets]
        # RFC 7009, section 2.2, has servers answer 200 to a token that they don't know. Others refuse it as they do at
        # a refresh, or with the error of Google and Salesforce. An access token that serves to authenticate is another
        # matter: that it has expired says nothing of the session.
        is_dead = found.verdict is Verdict.REJECTED and found.rule is not None and "access" not in self._revoke_asks
        is_dead = is_dead or lookup(response, "error") == "invalid_token"
        is_done = is_dead or (is_success(response) and found.rule is None)
        return Outcome(
            Verdict.OK if is_done else found.verdict,
            self.reason(response, known),
            status_code=response.status_code,
            asked="" if is_done else asked(response.request, known, response),
        )

    def outcome(
        self,
        where: Where,
        response: Response,
        now: datetime,
        secrets: Iterable[str] = (),
        kept: Mapping[str, Any] = NOTHING,
    ) -> Outcome:
        """Return the outcome of a login or refresh by its answer; ``now`` is when the request was sent.

        The reason contains neither ``secrets`` nor those in the settings. ``kept`` is what earlier steps have kept.
        """
        verdict, pair = self.verdict(where, response), None
        secrets, reason = [*secrets, *self.own_secrets], ""
        if verdict is Verdict.OK:
            try:
                pair = self.with_stored_values(where, self.token_pair(where, response, now), response, kept)
                secrets = [*secrets, pair.access, pair.refresh]
            except ValueError as error:
                verdict = Verdict.CONFIG if isinstance(error, UnusableAnswer) else Verdict.TRANSIENT
                reason = shown(str(error), secrets)
        reason = reason or self._reason(verdict, response, secrets)
        return Outcome(
            verdict,
            reason,
            pair,
            response.status_code,
            self._wait(verdict, response, reason),
            # The token endpoint's own answer is unknown: a gateway's 502 or a maintenance page may hide a rotation.
            is_ambiguous=verdict is Verdict.TRANSIENT and (response.status_code >= 500 or response.ok),
            asked=asked(response.request, secrets, response) if self._is_misdirected(verdict, response) else "",
            notice=self._notice(pair, response, secrets),
        )

    def _reason(self, verdict: Verdict, response: Response, secrets: Iterable[str]) -> str:
        reason = self.reason(response, secrets)
        if verdict is Verdict.CONFIG and self._may_be_misread and lookup(response, "error") == "invalid_client":
            return f"{reason}; servers read such an id or secret differently: try client_authentication 'basic_plain'"
        if verdict is not Verdict.TRANSIENT or response.status_code >= 300 or is_html(response):
            return reason
        return f"{reason}; {without_token('access', self.access_paths, response, secrets)}"

    def _notice(self, pair: TokenPair | None, response: Response, secrets: Iterable[str]) -> str:
        if pair is None or pair.refresh or not self.needs_refresh_token:
            return ""
        if not self.refresh_paths:
            return "this upstream has no refresh tokens"
        return without_token("refresh", self.refresh_paths, response, secrets)
