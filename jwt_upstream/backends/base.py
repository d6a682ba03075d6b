"""The backend that all others are made from: asks an upstream for tokens and says what its answers mean.

Knows HTTP and no database. What differs between servers is attributes, which OPTIONS override per upstream.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import cached_property, partial
from ssl import SSLCertVerificationError
from typing import Any

from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from requests import Request, RequestException, Response, Session
from urllib3.exceptions import HTTPError
from urllib3.util import Url

from jwt_upstream.tokens import Secrets, TokenPair

from .core import (
    Outcome,
    Requests,
    Responses,
    Rule,
    Verdict,
    Where,
    cause,
    links,
    options,
    origin,
    retry_after,
    transport,
)

#: The methods which are given passwords and tokens.
_SECRETIVE = {
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
    """Speaks JSON to a login and a refresh path; every annotated attribute is an option. Times are in seconds."""

    timeout: float | tuple[float, float] = (3.05, 20.0)
    deadline: float = 10.0
    verify: bool | str = True
    cert: str | tuple[str, str] | None = None
    proxies: Mapping[str, str] | None = None
    #: Whether a client keeps the upstream's cookies, for its own life.
    keep_cookies: bool = False
    #: How often an idempotent call is repeated that found the upstream away or busy, and the longest backoff before.
    retries: int = 0
    retry_backoff_max: float = 10.0

    #: How long no refresh is attempted after one has failed, doubled with each further failure up to the maximum.
    backoff: float = 1.0
    backoff_max: float = 60.0
    retry_after_max: float = 3600.0
    #: Headers that name the epoch second at which to try again, for servers without ``Retry-After``.
    retry_at_headers: tuple[str, ...] = ()
    #: How long before its expiry a token is refreshed, at most half of its lifetime.
    refresh_leeway: float = 60.0
    #: How long a 401 causes no further refresh after one did not help.
    min_refresh_interval: float = 60.0

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Keep the variables of a subclass's own methods, which may be secrets, out of error reports."""
        super().__init_subclass__(**kwargs)
        for name in _SECRETIVE & cls.__dict__.keys():
            setattr(cls, name, sensitive_variables()(cls.__dict__[name]))

    def __init__(self, alias: str, base_url: str, /, **options: Any) -> None:
        self.alias = alias
        self.base_url = base_url if base_url.endswith("/") else f"{base_url}/"
        self._options = options
        #: What to log in with when there is nothing to refresh with; empty where a person does that.
        self.automatic_login = Secrets()
        #: Is given every answer to a login or refresh, which holds tokens; for whoever explains them.
        self.recorder: Callable[[Where, Response], None] | None = None
        for name in options.keys() & self.option_types().keys():
            value = options[name]
            # Settings that come from JSON or the environment have lists, requests wants tuples.
            setattr(self, name, tuple(value) if isinstance(value, list) else value)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.alias}>"

    # -- settings

    def check(self) -> Iterable[str]:
        """Yield what is wrong with the settings, one sentence each; nothing is sent."""
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
        """Scheme, host and port that tokens may be sent to."""
        return origin(self.base_url)

    @property
    def own_secrets(self) -> list[str]:
        """The values of options which no reason may quote."""
        return [self.client_secret, self.api_key]

    # -- asking

    @sensitive_variables()
    def login(self, credentials: Mapping[str, str]) -> Outcome:
        """Ask for a first token pair; sends one request and raises nothing for what the upstream or network does.

        Raises TypeError if something that ``login_asks`` names is not given.
        """
        credentials = Secrets(credentials)
        if missing := [name for name in self.login_asks if name not in credentials]:
            raise TypeError(f"a login at {self.alias} needs {', '.join(missing)}")
        return self._ask("login", partial(self.login_request, credentials), credentials.values())

    @sensitive_variables()
    def refresh(self, pair: TokenPair) -> Outcome:
        """Spend the refresh token; sends one request and raises nothing for what the upstream or network does."""
        return self._ask("refresh", partial(self.refresh_request, pair), [pair.refresh, pair.access])

    @sensitive_variables()
    def _ask(self, where: Where, request: Callable[[], Request], secrets: Iterable[str]) -> Outcome:
        if missing := ", ".join(self.missing()):
            return Outcome(Verdict.CONFIG, f"not asked, OPTIONS lacks {missing}")
        started, clock = timezone.now(), time.monotonic()
        with transport.Deadline(self.deadline) as deadline:
            try:
                response = self._post(request(), deadline)
            except (OSError, HTTPError, ValueError) as error:
                outcome = self._unanswered(error, deadline)
            except Exception as error:
                # A field that no JSON can hold, for one. The frames of requests, which hold all fields, go nowhere.
                raise error.with_traceback(None) from None
            else:
                outcome = self.outcome(where, response, started, secrets)
                if self.recorder:
                    self.recorder(where, response)
        return replace(outcome, seconds=time.monotonic() - clock)

    @sensitive_variables()
    def _post(self, request: Request, deadline: transport.Deadline) -> Response:
        # A session of its own: no cookie, header or adapter of the caller's, and no token; Lexik answers 401 to a
        # login or refresh that carries a stale one. An auth that does nothing keeps .netrc from adding a password.
        with Session() as session:
            session.auth = transport.no_auth
            prepared = session.prepare_request(request)
            settings = session.merge_environment_settings(
                str(prepared.url), dict(self.proxies or {}), True, self.verify, self.cert
            )
        settings |= {"timeout": (min(3.05, self.deadline), self.deadline)}
        return transport.send(prepared, deadline, **settings)

    def _unanswered(self, error: Exception, deadline: transport.Deadline) -> Outcome:
        is_ours = (
            isinstance(error, ValueError)  # what was to be sent: a URL, a header
            or not isinstance(error, RequestException | HTTPError)  # a file of certificates that isn't there
            or any(isinstance(link, SSLCertVerificationError) for link in links(error))
        )
        if is_ours:
            return Outcome(Verdict.CONFIG, cause(error))
        return Outcome(Verdict.TRANSIENT, cause(error), is_ambiguous=deadline.is_connected)

    @sensitive_variables()
    def outcome(self, where: Where, response: Response, now: datetime, secrets: Iterable[str] = ()) -> Outcome:
        """Return what an answer to a login or refresh comes to; ``now`` is when it was asked for.

        The reason shows neither ``secrets`` nor those of the settings.
        """
        verdict, pair, reason = self.verdict(where, response), None, ""
        secrets = [*secrets, *self.own_secrets]
        if verdict is Verdict.OK:
            try:
                pair = self.token_pair(where, response, now)
                secrets = [*secrets, pair.access, pair.refresh]
            except ValueError as error:
                verdict, reason = Verdict.TRANSIENT, str(error)
        # Some tell on every answer when their count of requests begins anew.
        retry_at = self.retry_at_headers if verdict is Verdict.TRANSIENT else ()
        return Outcome(
            verdict,
            reason or self.reason(response, secrets),
            pair,
            response.status_code,
            retry_after(response, timezone.now(), self.retry_after_max, retry_at),
            # An answer, but not the one that was asked for: a gateway's 502 or a maintenance page may hide a rotation.
            is_ambiguous=verdict is Verdict.TRANSIENT and (response.status_code >= 500 or response.ok),
        )
