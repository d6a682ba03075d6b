"""APIs that take a key, or a name and a password, with every call: nothing expires, and nothing is refreshed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from requests import PreparedRequest, Request, Response

from jwt_upstream.tokens import Secrets, TokenPair
from jwt_upstream.tracebacks import without_variables

from .base import Backend
from .core import Outcome, Rule, Verdict, same_values, shown, template
from .exchanges import Exchange

_REFUSED = {Verdict.EXPIRED, Verdict.REJECTED, Verdict.LOCKED}


class StaticKeyBackend(Backend):
    """Sends a key that never expires; how follows from ``api_headers`` and ``api_query``, where it is ``{access}``.

    The key is kept in ``LOGIN``, such as ``{"api_key": "file:/run/secrets/crm"}``, in the option ``api_key``, or
    encrypted in the database after ``upstream_login``. ``key_format`` is what ``{access}`` is made of, such as
    ``{base64:{username}/token:{api_key}}``.

    A login sends nothing, and a 401 causes no refresh: the key is rejected, which the admins are told once, unless
    ``LOGIN`` has another one by now. With ``test_path`` a login asks for that path first, and after a 401 it decides
    whether it is the key that is refused, or only that call.
    """

    key_format: str = "{api_key}"
    rules: Sequence[Rule | Mapping[str, Any]] = (Rule(Verdict.EXPIRED, ("api",), (401,)),)
    login_fields = {}
    refresh_fields = {}
    refresh_paths = ()
    keep_alive = 0.0
    is_static = True
    has_token_endpoint = False
    _kept_seconds = 0.0  # at each login anew, which is after a call's 401: no other answer says that it is refused

    def _check_values(self) -> Iterable[str]:
        yield from super()._check_values()
        yield from self._check_functions(("key_format",))
        if not list(template(self.key_format).names):
            yield "key_format must have a placeholder for a secret, such as {api_key}"
        for name in template(self.key_format).names:
            if isinstance(self._options.get(name), list | tuple):
                yield f"{name} must be a single secret, since no answer says which of several works"

    @property
    def login_asks(self) -> tuple[str, ...]:
        """The names of the values that the key is made of and that options don't have."""
        names = dict.fromkeys(template(self.key_format).names)
        return tuple(name for name in names if not self._texts.get(name))

    @property
    def needs_refresh_token(self) -> bool:
        """Tell that there are no refresh tokens."""
        return False

    def can_refresh(self, pair: TokenPair) -> bool:
        """Tell whether there is anything to do in place of a refresh: to take the option's key, or to try the pair."""
        return not self.login_asks or bool(self.test_path and pair.access)

    @without_variables
    def login(self, credentials: Mapping[str, str]) -> Outcome:
        """Return the key as a pair; sends nothing, but a GET of ``test_path`` if there is one.

        Raises TypeError if a value that ``login_asks`` names is missing.
        """
        credentials = Secrets(credentials)
        if missing := [name for name in self.login_asks if name not in credentials]:
            raise TypeError(f"a login at {self.alias} needs {', '.join(missing)}")
        return self._with_secrets(lambda backend, seconds: backend._made_key(credentials, seconds), self.deadline)

    def _made_key(self, credentials: Secrets, seconds: float) -> Outcome:
        with same_values():
            key = template(self.key_format).fill(Secrets({**self._texts, **credentials}))
        try:
            return self._tried(TokenPair(key), seconds)
        except ValueError as error:
            reason = shown(str(error), [*credentials.values(), *self.own_secrets]).replace("access token", "key")
            return Outcome(Verdict.REJECTED, f"nothing was sent: {reason}")

    @without_variables
    def refresh(self, pair: TokenPair) -> Outcome:
        """Return the option's key, or the stored one, after ``test_path`` has been asked for if there is one."""
        if not self.login_asks:
            return self.login({})
        return self._with_secrets(lambda backend, seconds: backend._tried(pair, seconds), self.deadline)

    def _tried(self, pair: TokenPair, seconds: float) -> Outcome:
        if not pair.access:
            return Outcome(Verdict.REJECTED, "the key is empty")
        if not self.test_path:
            return Outcome(Verdict.OK, pair=pair)
        request, secrets = partial(_test, pair=pair), Secrets(access=pair.access)
        read = partial(_judged, pair=pair)
        return self._ask_once(Exchange(request, secrets, read), seconds)

    def _judged(self, pair: TokenPair, response: Response) -> Outcome:
        if self.recorder:
            self.recorder("api", response)
        verdict = self.verdict("api", response)
        reason = self.reason(response, [pair.access, *self.own_secrets])
        if verdict in _REFUSED:
            verdict = Verdict.REJECTED
        elif response.status_code in {408, 425, 429} or response.status_code >= 500:
            verdict = Verdict.TRANSIENT
        else:
            return Outcome(Verdict.OK, reason, pair, response.status_code)
        return Outcome(verdict, reason, None, response.status_code, self._wait(verdict, response, reason))


class BasicAuthBackend(StaticKeyBackend):
    """Sends a name and a password with every call (RFC 7617, in UTF-8); else like ``StaticKeyBackend``."""

    key_format = "{base64:{username}:{password}}"
    api_headers = {"Authorization": "Basic {access}"}


def _judged(backend: StaticKeyBackend, response: Response, _: Secrets, pair: TokenPair) -> Outcome:
    return backend._judged(pair, response)


def _test(backend: StaticKeyBackend, _: Secrets, pair: TokenPair) -> Request:
    prepared = PreparedRequest()
    prepared.prepare("GET", backend.url(backend.test_path), headers={"Accept": "application/json"})
    backend.authorize(prepared, pair)
    return Request("GET", prepared.url, headers=dict(prepared.headers))
