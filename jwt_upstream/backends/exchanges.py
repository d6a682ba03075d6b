"""Sends what a login, refresh or logout takes, its steps included, within one deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from ssl import SSLCertVerificationError
from typing import Any, NamedTuple, Self, cast

from django.utils.functional import cached_property
from requests import Request, RequestException, Response
from urllib3.exceptions import HTTPError

from jwt_upstream import clock
from jwt_upstream.tokens import Secrets

from .certificates import Certificates
from .core import (
    ELSEWHERE,
    ForbiddenAddress,
    Outcome,
    Verdict,
    Where,
    asked,
    asked_wait,
    cause,
    error_chain,
    held,
    is_html,
    is_success,
    stated_wait,
    transport,
)
from .secrets import SecretOption, SecretOptions, has_place, may_refuse_client, names_client
from .signing import SignedRequests, Unsignable
from .steps import Step, as_dict
from .unattended import Unattended

#: Makes the last request, of the backend that sends it, which has the secrets, and what the steps have kept.
Build = Callable[[Any, Secrets], Request]
#: Reads the answer, of the same.
Read = Callable[[Any, Response, Secrets], Outcome]


class Exchange(NamedTuple):
    """What is asked of an upstream: the steps before the last request, that request, and how its answer is read.

    The request is made of what the steps have kept.
    """

    request: Build
    secrets: Secrets
    read: Read
    steps: Sequence[Step] = ()


class Exchanges(SignedRequests, Unattended, Certificates):
    """The part of a backend that sends requests for tokens; every annotated attribute is an option."""

    proxies: Mapping[str, str] | None = None

    retry_after_max: float = 3600.0
    rate_limit_headers: Mapping[str, str] = {}

    #: For how long a secret or key that was read is used; by default as long as the values of LOGIN.
    _kept_seconds: float | None = None

    def __init__(self, alias: str, base_url: str, /, **options: Any) -> None:
        super().__init__(alias, base_url, **options)
        path: Any = self.assertion_file
        token = f"file:{path}" if path and isinstance(path, str) else path
        self._secrets = SecretOptions(
            SecretOption("client_secret", self.client_secret, self._kept_seconds),
            SecretOption("signing_key", self.signing_key, self._kept_seconds),
            SecretOption("assertion_file", token, kept_seconds=0.0),
        )
        for name in self._secrets.names:
            setattr(self, name, ELSEWHERE)
        #: Called with every answer to a login or refresh, tokens included; lets upstream_probe explain them.
        self.recorder: Callable[[Where, Response], None] | None = None

    @property
    def own_secrets(self) -> list[str]:
        """The secret values of options, which no reason may quote."""
        return [*self._secrets.known, self.api_key, *self.own_account_secrets.values()]

    def _ask(self, exchange: Exchange, seconds: float) -> Outcome:
        return self._with_secrets(lambda backend, remaining: backend._ask_once(exchange, remaining), seconds)

    def _with_secrets(self, ask: Callable[[Self, float], Outcome], seconds: float) -> Outcome:
        """Have a copy ask that has the secrets, and others with other ones until they are not refused."""
        return self._secrets.first_accepted(lambda chosen, remaining: ask(self._with(chosen), remaining), seconds)

    def _check_places(self) -> Iterable[str]:
        for name, written in self._options.items():
            parts = map(as_dict, written) if isinstance(written, list | tuple) else [written]
            if name not in self._secrets.all_names and any(map(has_place, parts)):
                read = "only client_secret, signing_key and the values of LOGIN are read from there"
                yield f"option {name!r} says where a secret is kept, but {read}"

    def _with(self, chosen: Secrets) -> Self:
        if not chosen:
            return self
        double = copy(self)
        for name in [name for name in vars(self) if isinstance(getattr(type(self), name, None), cached_property)]:
            del vars(double)[name]
        for name, secret in chosen.items():
            setattr(double, name, secret)
        return double

    def _ask_once(self, exchange: Exchange, seconds: float) -> Outcome:
        if self._missing:
            return Outcome(Verdict.CONFIG, f"nothing was sent: OPTIONS has no {self._missing}")
        if problem := self.unready():
            return Outcome(Verdict.CONFIG, f"nothing was sent: {problem}")
        began = time.monotonic()
        try:
            outcome = self._sent(exchange, seconds)
        except BaseException as error:
            # A field that JSON can't hold, a signal, a bug in a project's method. Without what led to it, since the
            # errors of requests and http.client quote header values.
            raise error from None
        return replace(outcome, seconds=time.monotonic() - began)

    @cached_property
    def _missing(self) -> str:
        return ", ".join(self.missing())

    def _sent(self, exchange: Exchange, seconds: float) -> Outcome:
        with transport.Deadline(seconds) as deadline:
            kept = self._take_steps(exchange, deadline)
            if isinstance(kept, Outcome):
                return kept
            secrets = [*exchange.secrets.values(), *map(str, kept.values())]
            response = self._answer(partial(exchange.request, self, kept), deadline, secrets)
            outcome = response if isinstance(response, Outcome) else self._read(exchange, response, kept)
            return outcome.at_step(len(exchange.steps) + 1, len(exchange.steps) + 1)

    def _read(self, exchange: Exchange, response: Response, kept: Secrets) -> Outcome:
        outcome = exchange.read(self, response, kept)
        return replace(outcome, is_client_refused=self._is_client_refused(outcome.verdict, response))

    def _is_client_refused(self, verdict: Verdict, response: Response) -> bool:
        """Tell whether an answer is about the client, which is the account's own where that is to be rejected."""
        is_own = verdict is Verdict.REJECTED and bool(self.own_account_secrets) and names_client(response)
        return is_own or (verdict is Verdict.CONFIG and may_refuse_client(response))

    def _take_steps(self, exchange: Exchange, deadline: transport.Deadline) -> Secrets | Outcome:
        """Return what the steps have kept, or the outcome of the one that failed."""
        kept: dict[str, Any] = {}
        for number, step in enumerate(exchange.steps, 1):
            values = Secrets({**exchange.secrets, **kept})
            secrets = list(map(str, values.values()))
            response = self._answer(partial(step.request, self, values), deadline, secrets)
            failed = response if isinstance(response, Outcome) else self._failed_step(step, response, secrets)
            if failed:
                return failed.at_step(number, len(exchange.steps) + 1)
            kept |= step.kept(cast(Response, response))
        return Secrets(kept)

    def _failed_step(self, step: Step, response: Response, secrets: list[str]) -> Outcome | None:
        found, missing = self.explain("login", response), step.missing(response)
        if is_success(response) and not missing and (found.rule is None or found.verdict is Verdict.OK):
            return None
        if self.recorder:
            self.recorder("login", response)
        known = [*secrets, *self.own_secrets]
        reason = self.reason(response, known)
        return Outcome(
            found.verdict,
            f"{reason}; no {missing}; the answer holds {held(response, known)}" if missing else reason,
            status_code=response.status_code,
            retry_after=self._wait(found.verdict, response, reason),
            asked=asked(response.request, known, response) if self._is_misdirected(found.verdict, response) else "",
            is_client_refused=self._is_client_refused(found.verdict, response),
        )

    def _answer(
        self, request: Callable[[], Request], deadline: transport.Deadline, secrets: Iterable[str]
    ) -> Response | Outcome:
        try:
            return self._send(request(), deadline)
        except (ForbiddenAddress, Unsignable) as error:
            return Outcome(Verdict.CONFIG, f"nothing was sent: {error}")
        except (OSError, HTTPError, ValueError) as error:
            return self._unanswered(error, deadline, secrets)

    def _send(self, request: Request, deadline: transport.Deadline) -> Response:
        # A session of its own, without the caller's cookies, headers, adapters and token: Lexik answers 401 to a login
        # or refresh that carries a stale token.
        with transport.OneRequest.within(deadline, self.alias) as session:
            prepared = session.prepare_request(request)
            settings = session.merge_environment_settings(
                str(prepared.url), dict(self.proxies or {}), True, self.verify, self.cert
            )
            timeout = (min(3.05, deadline.seconds), deadline.seconds)
            return session.send_within_deadline(prepared, **{**settings, "timeout": timeout})

    def _unanswered(self, error: Exception, deadline: transport.Deadline, secrets: Iterable[str]) -> Outcome:
        is_ours = (
            isinstance(error, ValueError)  # in what was to be sent: a URL, a header
            or not isinstance(error, RequestException | HTTPError)  # a missing certificate file
            or any(isinstance(link, SSLCertVerificationError) for link in error_chain(error))
        )
        if is_ours:
            url = asked(getattr(error, "request", None), [*secrets, *self.own_secrets])
            missing = self.missing_certificate() if isinstance(error, OSError) else ""
            return Outcome(Verdict.CONFIG, f"nothing was sent: {missing}" if missing else cause(error), asked=url)
        return Outcome(Verdict.TRANSIENT, cause(error), is_ambiguous=deadline.is_connected)

    def _is_misdirected(self, verdict: Verdict, response: Response) -> bool:
        """Tell whether an answer is probably none of the token endpoint's: its URL is told, for it may be wrong."""
        return verdict is Verdict.CONFIG or (verdict is Verdict.TRANSIENT and (response.ok or is_html(response)))

    def _wait(self, verdict: Verdict, response: Response, reason: str) -> float | None:
        is_busy = verdict is Verdict.TRANSIENT
        kinds = self.rate_limit_headers if is_busy else {}
        wait = asked_wait(response.status_code, response.headers, kinds, clock.now(), self.retry_after_max)
        return stated_wait(reason, self.retry_after_max) if wait is None and is_busy else wait
