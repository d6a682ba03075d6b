"""The backend that all others are made from: asks an upstream for tokens and says what its answers mean.

Knows HTTP and no database. What differs between servers is attributes, which OPTIONS override per upstream.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any, get_type_hints
from urllib.parse import urljoin

from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from requests import PreparedRequest, Request, RequestException, Response, Session
from requests.auth import _basic_auth_str
from requests.exceptions import ConnectTimeout, SSLError
from urllib3.util import Url

from jwt_upstream.tokens import TokenPair

from . import options, transport
from .answers import Answers
from .failures import cause, masked, retry_after
from .origins import origin
from .templates import filled, placeholders
from .verdicts import Verdict, Where


@dataclass(frozen=True)
class Outcome:
    """What a login or refresh came to; ``reason`` is fit to be stored and shown.

    ``retry_after`` is in seconds; ``is_ambiguous`` says that the upstream may have spent the refresh token although no
    pair came back.
    """

    verdict: Verdict
    reason: str = ""
    pair: TokenPair | None = None
    status_code: int | None = None
    retry_after: float | None = None
    is_ambiguous: bool = False
    seconds: float = 0.0


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

    def __init__(self, alias: str, base_url: str, **options: Any) -> None:
        self.alias = alias
        self.base_url = base_url if base_url.endswith("/") else f"{base_url}/"
        self._options = options
        for name in options.keys() & self.option_types().keys():
            setattr(self, name, options[name])

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.alias}>"

    # -- settings

    @classmethod
    def option_types(cls) -> dict[str, Any]:
        """Return every option's name with its type, as annotated."""
        return {name: hint for name, hint in get_type_hints(cls).items() if not name.startswith("_")}

    def check(self) -> Iterable[str]:
        """Yield what is wrong with the settings, one sentence each; nothing is sent."""
        yield from options.problems(type(self).__name__, self._options, self.option_types())
        yield from self._check_choices()

    def _check_choices(self) -> Iterable[str]:
        if self.body_format not in {"json", "form"}:
            yield f"body_format must be 'json' or 'form', not {self.body_format!r}"
        if self.client_authentication not in {"none", "basic", "post"}:
            yield f"client_authentication must be 'none', 'basic' or 'post', not {self.client_authentication!r}"

    @cached_property
    def origin(self) -> Url:
        """Scheme, host and port that tokens may be sent to."""
        return origin(self.base_url)

    # -- asking

    @property
    def login_asks(self) -> tuple[str, ...]:
        """The names of what a login must be given, such as ("username", "password")."""
        return tuple(placeholders(self.login_fields))

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
        secrets = (*secrets, self.client_secret)
        started, clock = timezone.now(), time.monotonic()
        try:
            response = self._post(path, fields)
        except RequestException as error:
            return self._unanswered(error, time.monotonic() - clock)
        outcome = self._outcome(where, response, started)
        return replace(outcome, reason=masked(outcome.reason, secrets), seconds=time.monotonic() - clock)

    @sensitive_variables()
    def _post(self, path: str, fields: dict[str, Any]) -> Response:
        # A session of its own: no cookie, header or adapter of the caller's, and no token; Lexik answers 401 to a
        # login or refresh that carries a stale one. An auth that does nothing keeps .netrc from adding a password.
        with Session() as session:
            session.auth = _unchanged
            prepared = session.prepare_request(self._token_request(path, fields))
            settings = session.merge_environment_settings(
                str(prepared.url), dict(self.proxies or {}), True, self.verify, self.cert
            )
            return transport.send(session, prepared, self.deadline, **{**settings, "timeout": self._socket_timeout})

    @sensitive_variables()
    def _token_request(self, path: str, fields: dict[str, Any]) -> Request:
        # English, since messages are matched and Symfony and Django translate theirs.
        headers = {"Accept": "application/json", "Accept-Language": "en", **self.headers}
        if self.client_authentication == "basic":
            headers["Authorization"] = _basic_auth_str(self.client_id, self.client_secret)
        elif self.client_authentication == "post":
            fields = {**fields, "client_id": self.client_id, "client_secret": self.client_secret}
        url = urljoin(self.base_url, path)
        if self.body_format == "json":
            return Request("POST", url, headers=headers, json=fields)
        return Request("POST", url, headers=headers, data=fields)

    @property
    def _socket_timeout(self) -> tuple[float, float]:
        return min(3.05, self.deadline), self.deadline

    def _unanswered(self, error: RequestException, seconds: float) -> Outcome:
        text = cause(error)
        if isinstance(error, SSLError) and "CERTIFICATE_VERIFY_FAILED" in text:
            return Outcome(Verdict.CONFIG, text, seconds=seconds)
        sent = not isinstance(error, ConnectTimeout | SSLError) and "NewConnectionError" not in text
        return Outcome(Verdict.TRANSIENT, text, is_ambiguous=sent, seconds=seconds)

    def _outcome(self, where: Where, response: Response, now: datetime) -> Outcome:
        verdict, pair = self.verdict(where, response), None
        if verdict is Verdict.OK:
            try:
                pair = self.token_pair(where, response, now)
            except ValueError as error:
                return Outcome(Verdict.TRANSIENT, str(error), status_code=response.status_code, is_ambiguous=True)
        return Outcome(
            verdict,
            self.reason(response),
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
            request.headers[name] = template.format(access=pair.access)


def _unchanged(request: PreparedRequest) -> PreparedRequest:
    return request
