"""The base of all backends: requests tokens of an upstream, and says what its answers mean.

Knows HTTP and no database. What differs between servers is class attributes, which OPTIONS override per upstream.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from ssl import SSLCertVerificationError
from typing import Any

from django.utils.functional import cached_property
from django.views.decorators.debug import sensitive_variables
from requests import Request, RequestException, Response
from urllib3.exceptions import HTTPError
from urllib3.util import Url

from jwt_upstream import clock
from jwt_upstream.tokens import Secrets, TokenPair

from .core import (
    Outcome,
    Requests,
    Responses,
    Rule,
    Verdict,
    Where,
    asked,
    cause,
    error_chain,
    is_html,
    options,
    origin,
    retry_after,
    stated_wait,
    transport,
    without_token,
)

#: The methods whose arguments are passwords and tokens.
_SENSITIVE_METHODS = {
    "login",
    "login_body",
    "login_request",
    "refresh",
    "refresh_body",
    "refresh_request",
    "authorize",
    "token_pair",
}


class Backend(Requests, Responses):
    """Sends JSON to a login path and a refresh path; every annotated attribute is an option. Times are in seconds."""

    timeout: float | tuple[float, float] = (3.05, 20.0)
    deadline: float = 10.0
    verify: bool | str = True
    cert: str | tuple[str, str] | None = None
    proxies: Mapping[str, str] | None = None
    #: Whether a client object keeps the upstream's cookies.
    keep_cookies: bool = False
    #: How often an idempotent call is repeated if the upstream is unreachable or overloaded, and the longest backoff.
    retries: int = 0
    retry_backoff_max: float = 10.0

    #: How long no refresh is attempted after a failure; doubles with each further failure up to the maximum.
    backoff: float = 1.0
    backoff_max: float = 60.0
    retry_after_max: float = 3600.0
    #: Headers that state the epoch second at which to retry, for servers without ``Retry-After``.
    retry_at_headers: tuple[str, ...] = ()
    #: How long before its expiry a token is refreshed; at most half of its lifetime.
    refresh_leeway: float = 60.0
    #: How long a 401 causes no refresh after a token that was just refreshed got a 401 as well.
    min_refresh_interval: float = 60.0

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Keep the local variables of a subclass's overrides, which may be secrets, out of error reports."""
        super().__init_subclass__(**kwargs)
        for name in _SENSITIVE_METHODS & cls.__dict__.keys():
            setattr(cls, name, sensitive_variables()(cls.__dict__[name]))

    def __init__(self, alias: str, base_url: str, /, **options: Any) -> None:
        super().__init__(alias, base_url, **options)
        #: The LOGIN in settings, used when a refresh is impossible; empty if only a person can log in.
        self.automatic_login = Secrets()
        #: Called with every answer to a login or refresh, tokens included; lets upstream_probe explain them.
        self.recorder: Callable[[Where, Response], None] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.alias}>"

    # -- settings

    def check(self) -> Iterable[str]:
        """Yield a sentence for each mistake in the settings; sends nothing."""
        wrong = list(options.problems(type(self).__name__, self._options, self.option_types()))
        yield from wrong or (*self._check_values(), *self._check_rules())
        yield from options.login_problems(self.automatic_login, self.login_asks)

    def _check_values(self) -> Iterable[str]:
        yield from self._check_requests()
        if self.deadline <= 0:
            yield "deadline must be more than 0"
        if self.timeout == 0 or (isinstance(self.timeout, list | tuple) and 0 in self.timeout):
            yield "timeout must be more than 0"
        yield from self._check_responses()

    def _check_rules(self) -> Iterable[str]:
        for source, rule in self._written_rules():
            try:
                Rule.parse(rule)
            except ValueError as error:
                yield f"{error} ({source})"

    @cached_property
    def origin(self) -> Url:
        """The scheme, host and port that calls may send tokens to."""
        return origin(self.base_url)

    @property
    def own_secrets(self) -> list[str]:
        """The secret values of options, which no reason may quote."""
        return [self.client_secret, self.api_key]

    # -- requests

    @sensitive_variables()
    def login(self, credentials: Mapping[str, str]) -> Outcome:
        """Request a first token pair; sends one request, and raises nothing for what the upstream or network does.

        Raises TypeError if a value that ``login_asks`` names is missing.
        """
        credentials = Secrets(credentials)
        if missing := [name for name in self.login_asks if name not in credentials]:
            raise TypeError(f"a login at {self.alias} needs {', '.join(missing)}")
        return self._ask("login", partial(self.login_request, credentials), credentials)

    @sensitive_variables()
    def refresh(self, pair: TokenPair) -> Outcome:
        """Request a new pair, which may spend the refresh token; sends and raises no more than ``login`` does."""
        secrets = Secrets(refresh=pair.refresh, access=pair.access)
        return self._ask("refresh", partial(self.refresh_request, pair), secrets)

    def _ask(self, where: Where, request: Callable[[], Request], secrets: Secrets) -> Outcome:
        if missing := ", ".join(self.missing()):
            return Outcome(Verdict.CONFIG, f"nothing was sent: OPTIONS has no {missing}")
        began = time.monotonic()
        try:
            outcome = self._answered(where, request, secrets)
        except BaseException as error:
            # A field that JSON can't hold, a signal, a bug in a project's method. The traceback is dropped: frames of
            # requests and of those methods hold secrets.
            raise error.with_traceback(None) from None
        return replace(outcome, seconds=time.monotonic() - began)

    @sensitive_variables()
    def _answered(self, where: Where, request: Callable[[], Request], secrets: Secrets) -> Outcome:
        started = clock.now()
        with transport.Deadline(self.deadline) as deadline:
            try:
                response = self._post(request(), deadline)
            except (OSError, HTTPError, ValueError) as error:
                return self._unanswered(error, deadline, secrets.values())
            outcome = self.outcome(where, response, started, secrets.values())
            if self.recorder:
                self.recorder(where, response)
            return outcome

    @sensitive_variables()
    def _post(self, request: Request, deadline: transport.Deadline) -> Response:
        # A session of its own, without the caller's cookies, headers, adapters and token: Lexik answers 401 to a login
        # or refresh that carries a stale token.
        with transport.OneRequest(deadline) as session:
            prepared = session.prepare_request(request)
            settings = session.merge_environment_settings(
                str(prepared.url), dict(self.proxies or {}), True, self.verify, self.cert
            )
            settings |= {"timeout": (min(3.05, self.deadline), self.deadline)}
            return session.send_within_deadline(prepared, **settings)

    @sensitive_variables()
    def _unanswered(self, error: Exception, deadline: transport.Deadline, secrets: Iterable[str]) -> Outcome:
        is_ours = (
            isinstance(error, ValueError)  # in what was to be sent: a URL, a header
            or not isinstance(error, RequestException | HTTPError)  # a missing certificate file
            or any(isinstance(link, SSLCertVerificationError) for link in error_chain(error))
        )
        if is_ours:
            url = asked(getattr(error, "request", None), [*secrets, *self.own_secrets])
            return Outcome(Verdict.CONFIG, cause(error), asked=url)
        return Outcome(Verdict.TRANSIENT, cause(error), is_ambiguous=deadline.is_connected)

    @sensitive_variables()
    def outcome(self, where: Where, response: Response, now: datetime, secrets: Iterable[str] = ()) -> Outcome:
        """Return the outcome of a login or refresh by its answer; ``now`` is when the request was sent.

        The reason contains neither ``secrets`` nor those in the settings.
        """
        verdict, pair = self.verdict(where, response), None
        secrets, reason = [*secrets, *self.own_secrets], ""
        if verdict is Verdict.OK:
            try:
                pair = self.token_pair(where, response, now)
                secrets = [*secrets, pair.access, pair.refresh]
            except ValueError as error:
                verdict, reason = Verdict.TRANSIENT, str(error)
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

    @sensitive_variables()
    def _reason(self, verdict: Verdict, response: Response, secrets: Iterable[str]) -> str:
        reason = self.reason(response, secrets)
        if verdict is not Verdict.TRANSIENT or response.status_code >= 300 or is_html(response):
            return reason
        return f"{reason}; {without_token('access', self.access_paths, response, secrets)}"

    def _is_misdirected(self, verdict: Verdict, response: Response) -> bool:
        """Tell whether an answer is probably none of the token endpoint's: its URL is told, for it may be wrong."""
        return verdict is Verdict.CONFIG or (verdict is Verdict.TRANSIENT and (response.ok or is_html(response)))

    def _wait(self, verdict: Verdict, response: Response, reason: str) -> float | None:
        if verdict is not Verdict.TRANSIENT:
            return retry_after(response, clock.now(), self.retry_after_max)
        # Some servers state on every answer when their rate limit resets.
        wait = retry_after(response, clock.now(), self.retry_after_max, self.retry_at_headers)
        return stated_wait(reason, self.retry_after_max) if wait is None else wait

    @sensitive_variables()
    def _notice(self, pair: TokenPair | None, response: Response, secrets: Iterable[str]) -> str:
        if pair is None or pair.refresh or not self.needs_refresh_token:
            return ""
        if not self.refresh_paths:
            return "this upstream has no refresh tokens"
        return without_token("refresh", self.refresh_paths, response, secrets)
