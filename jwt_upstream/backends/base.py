"""The backend that all others are made from: asks an upstream for tokens and says what its answers mean.

Knows HTTP and no database. What differs between servers is attributes, which OPTIONS override per upstream.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from ssl import SSLCertVerificationError
from typing import Any, get_type_hints
from urllib.parse import quote_plus, urljoin

from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from requests import PreparedRequest, Request, RequestException, Response, Session
from requests.auth import _basic_auth_str
from urllib3.exceptions import HTTPError
from urllib3.util import Url

from jwt_upstream.tokens import Secrets, TokenPair

from . import options, transport
from .answers import Answers
from .failures import cause, links, retry_after
from .origins import origin
from .templates import filled, placeholders
from .verdicts import Outcome, Rule, Verdict, Where

#: The methods which are given passwords and tokens.
_SECRETIVE = {"login", "refresh", "login_body", "refresh_body", "authorize", "token_pair"}


class Backend(Answers):
    """Speaks JSON to a login and a refresh path; every annotated attribute is an option.

    Fields are templates: a value of exactly ``{username}``, ``{password}`` (or whatever else a login is given),
    ``{refresh}`` is filled in, any other is sent as it stands. Times are in seconds.
    """

    login_path: str = "login"
    refresh_path: str = "refresh"
    login_fields: Mapping[str, Any] = {"username": "{username}", "password": "{password}"}
    refresh_fields: Mapping[str, Any] = {"refresh_token": "{refresh}"}
    body_format: str = "json"
    headers: Mapping[str, str] = {}
    api_headers: Mapping[str, str] = {"Authorization": "Bearer {access}"}

    client_id: str = ""
    client_secret: str = ""
    client_authentication: str = "none"

    timeout: float | tuple[float, float] | None = (3.05, 20.0)
    deadline: float = 10.0
    verify: bool | str = True
    cert: str | tuple[str, str] | None = None
    proxies: Mapping[str, str] | None = None

    #: The pause after a failed refresh, doubled with each further one up to the maximum.
    cooldown: float = 1.0
    cooldown_max: float = 60.0
    retry_after_max: float = 3600.0
    #: How long before its end a token is renewed, at most half of its lifetime.
    refresh_leeway: float = 60.0
    #: How long a 401 that a fresh token did not help is left alone.
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
        for name in options.keys() & self.option_types().keys():
            value = options[name]
            # Settings that come from JSON or the environment have lists, requests wants tuples.
            setattr(self, name, tuple(value) if isinstance(value, list) else value)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.alias}>"

    # -- settings

    @classmethod
    def option_types(cls) -> dict[str, Any]:
        """Return every option's name with its type, as annotated."""
        return {name: hint for name, hint in get_type_hints(cls).items() if not name.startswith("_")}

    def check(self) -> Iterable[str]:
        """Yield what is wrong with the settings, one sentence each; nothing is sent."""
        wrong = list(options.problems(type(self).__name__, self._options, self.option_types()))
        yield from wrong or (*self._check_values(), *self._check_rules())
        yield from options.login_problems(self.automatic_login, self.login_asks)

    def _check_values(self) -> Iterable[str]:
        if self.body_format not in {"json", "form"}:
            yield f"body_format must be 'json' or 'form', not {self.body_format!r}"
        if self.client_authentication not in {"none", "basic", "post"}:
            yield f"client_authentication must be 'none', 'basic' or 'post', not {self.client_authentication!r}"
        if self.deadline <= 0:
            yield "deadline must be more than 0"
        if self.timeout == 0 or (isinstance(self.timeout, list | tuple) and 0 in self.timeout):
            yield "timeout must be more than 0"
        for name in set(placeholders(self.refresh_fields)) - {"refresh"}:
            yield f"refresh_fields may ask for {{refresh}} only, not for {{{name}}}"

    def _check_rules(self) -> Iterable[str]:
        for rule in self._written_rules():
            try:
                Rule.parse(rule)
            except ValueError as error:
                yield str(error)

    @cached_property
    def origin(self) -> Url:
        """Scheme, host and port that tokens may be sent to."""
        return origin(self.base_url)

    # -- asking

    @property
    def login_asks(self) -> tuple[str, ...]:
        """The names of what a login must be given, such as ("username", "password")."""
        return tuple(dict.fromkeys(placeholders(self.login_fields)))

    @property
    def needs_refresh_token(self) -> bool:
        """Tell whether a new access token takes a stored refresh token."""
        return True

    def login_body(self, credentials: Mapping[str, str]) -> dict[str, Any]:
        """Return the fields of a login."""
        return filled(self.login_fields, credentials)

    def refresh_body(self, refresh: str) -> dict[str, Any]:
        """Return the fields of a refresh."""
        return filled(self.refresh_fields, {"refresh": refresh})

    @sensitive_variables()
    def login(self, credentials: Mapping[str, str]) -> Outcome:
        """Ask for a first token pair; sends one request and raises nothing for what the upstream or network does.

        Raises TypeError if something that ``login_asks`` names is not given.
        """
        if missing := [name for name in self.login_asks if name not in credentials]:
            raise TypeError(f"a login at {self.alias} needs {', '.join(missing)}")
        return self._ask("login", self.login_path, self.login_body(credentials), credentials.values())

    @sensitive_variables()
    def refresh(self, pair: TokenPair) -> Outcome:
        """Spend the refresh token; sends one request and raises nothing for what the upstream or network does."""
        fields = self.refresh_body(pair.refresh)
        return self._ask("refresh", self.refresh_path or self.login_path, fields, [pair.refresh])

    @sensitive_variables()
    def _ask(self, where: Where, path: str, fields: dict[str, Any], secrets: Iterable[str]) -> Outcome:
        started, clock = timezone.now(), time.monotonic()
        with transport.Deadline(self.deadline) as deadline:
            try:
                response = self._post(path, fields, deadline)
            except (OSError, HTTPError, ValueError) as error:
                outcome = self._unanswered(error, deadline)
            except Exception as error:
                # A field that no JSON can hold, for one. The frames of requests, which hold all fields, go nowhere.
                raise error.with_traceback(None) from None
            else:
                outcome = self._outcome(where, response, started, [*secrets, self.client_secret])
        return replace(outcome, seconds=time.monotonic() - clock)

    @sensitive_variables()
    def _post(self, path: str, fields: dict[str, Any], deadline: transport.Deadline) -> Response:
        # A session of its own: no cookie, header or adapter of the caller's, and no token; Lexik answers 401 to a
        # login or refresh that carries a stale one. An auth that does nothing keeps .netrc from adding a password.
        with Session() as session:
            session.auth = _unchanged
            prepared = session.prepare_request(self._token_request(path, fields))
            settings = session.merge_environment_settings(
                str(prepared.url), dict(self.proxies or {}), True, self.verify, self.cert
            )
        settings |= {"timeout": (min(3.05, self.deadline), self.deadline)}
        return transport.send(prepared, deadline, **settings)

    @sensitive_variables()
    def _token_request(self, path: str, fields: dict[str, Any]) -> Request:
        # English, since messages are matched and Symfony and Django translate theirs.
        headers = {"Accept": "application/json", "Accept-Language": "en", **self.headers}
        client = {"client_id": self.client_id, "client_secret": self.client_secret}
        if self.client_authentication == "basic":
            # RFC 6749, section 2.3.1 wants both form-urlencoded first; without special characters nothing changes.
            headers["Authorization"] = _basic_auth_str(*map(quote_plus, client.values()))
        elif self.client_authentication == "post":
            fields = {**fields, **{name: value for name, value in client.items() if value}}
        url = urljoin(self.base_url, path)
        if self.body_format == "json":
            return Request("POST", url, headers=headers, json=fields)
        return Request("POST", url, headers=headers, data=fields)

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
    def _outcome(self, where: Where, response: Response, now: datetime, secrets: Iterable[str]) -> Outcome:
        verdict, pair, reason = self.verdict(where, response), None, ""
        if verdict is Verdict.OK:
            try:
                pair = self.token_pair(where, response, now)
                secrets = [*secrets, pair.access, pair.refresh]
            except ValueError as error:
                verdict, reason = Verdict.TRANSIENT, str(error)
        return Outcome(
            verdict,
            reason or self.reason(response, secrets),
            pair,
            response.status_code,
            retry_after(response, timezone.now(), self.retry_after_max),
            # An answer, but not the one that was asked for: a gateway's 502 or a maintenance page may hide a rotation.
            is_ambiguous=verdict is Verdict.TRANSIENT and (response.status_code >= 500 or response.ok),
        )

    # -- calling

    def authorize(self, request: PreparedRequest, pair: TokenPair) -> None:
        """Put the access token on a prepared request."""
        for name, template in self.api_headers.items():
            request.headers[name] = template.replace("{access}", pair.access)


def _unchanged(request: PreparedRequest) -> PreparedRequest:
    return request
