"""Requests that contain a JWT: one that we sign, or one that the platform we run on keeps in a file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import uuid4

from django.utils.functional import cached_property
from requests import Request

from jwt_upstream import clock
from jwt_upstream.backends.core import ELSEWHERE, filled_within, placeholders
from jwt_upstream.backends.steps import Steps
from jwt_upstream.names import alternatives
from jwt_upstream.tokens import Secrets

from .keys import ALGORITHMS, SigningKey

#: RFC 7523, section 2.2.
_CLIENT_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTING = {"private_key_jwt", "client_secret_jwt", "assertion_file"}
_JWT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)


class SignedRequests(Steps):
    """Adds ``{assertion}`` to what requests for tokens may contain, and JWTs that authenticate the client.

    ``{assertion}`` is a JWT that is made anew for each request and signed with ``signing_key``, or what is in the file
    ``assertion_file``, which is read anew for each request. By default its ``iss`` and ``sub`` are the ``client_id``
    and its ``aud`` is the URL of ``login_path``; ``assertion_claims`` adds to these and replaces them, with
    placeholders for text options, and with None for a claim that is to be left out.

    ``client_authentication`` "private_key_jwt" and "client_secret_jwt" are those of OpenID Connect Core (section 9)
    and RFC 7523 (section 2.2); with "assertion_file" the file's JWT is what authenticates the client.
    """

    signing_key: str = ""
    key_id: str = ""
    signing_algorithm: str = ""
    assertion_file: str = ""
    assertion_audience: str = ""
    assertion_claims: Mapping[str, Any] = {}
    assertion_headers: Mapping[str, Any] = {}
    assertion_lifetime: float = 60.0
    clock_skew: float = 10.0

    #: The claims that ``assertion_claims`` adds to; those that are empty are left out.
    _usual_claims: Mapping[str, Any] = {"iss": "{client_id}", "sub": "{client_id}", "aud": "{audience}"}
    #: The claims that say when it was made, and make it unique.
    _stamps: tuple[str, ...] = ("iat", "nbf", "exp", "jti")
    #: Whether requests are built only to be shown, so that nothing is signed.
    is_preview = False

    def missing(self) -> Iterable[str]:
        """Return the names of the empty options without which there can be no login and no refresh."""
        names = dict.fromkeys(super().missing())
        if self.client_authentication == "assertion_file":  # which says who the client is
            names.pop("client_id", None)
        return [*names, *(name for name in self._needs if not getattr(self, name) and name not in names)]

    @property
    def _needs(self) -> Iterable[str]:
        ways = self._ways
        needed = {"private_key_jwt": "signing_key", "client_secret_jwt": "client_secret"}
        yield from (needed.get(way, way) for way in sorted(ways & _ASSERTING))
        if self._is_asserting and not self._can_assert:
            yield "signing_key"

    @property
    def _ways(self) -> set[str]:
        """The ways in which the client authenticates at any of the endpoints."""
        return {self.client_authentication, self.revoke_authentication, self.device_authentication}

    @property
    def _can_assert(self) -> bool:
        """Whether ``{assertion}`` is something that we make, and not a value that a login is given."""
        return bool(self.signing_key or self.assertion_file)

    @property
    def _is_asserting(self) -> bool:
        """Whether a request for tokens contains ``{assertion}``."""
        login = (self.login_path, self.login_fields, self.login_query, self.login_headers, self.headers)
        refresh = (self.refresh_path, self.refresh_fields, self.refresh_query, self.refresh_headers)
        in_steps = (name for step in self.steps for name in step.asks)
        return "assertion" in {*placeholders([*login, *refresh]), *in_steps}

    @property
    def _made_names(self) -> set[str]:
        return super()._made_names | ({"assertion"} if self._can_assert else set())

    def _made(self) -> dict[str, str]:
        made = super()._made()
        return {**made, "assertion": self.assertion()} if self._can_assert and self._is_asserting else made

    @cached_property
    def binding(self) -> dict[str, str]:
        """What tokens are bound to, with the claims of the JWT that they are exchanged for."""
        claims = json.dumps(dict(self.assertion_claims), sort_keys=True, default=str) if self.assertion_claims else ""
        return {**super().binding, **({"claims": claims} if self._is_asserting else {})}

    # -- settings

    def _check_requests(self) -> Iterable[str]:
        yield from super()._check_requests()
        known = sorted(each for fitting in ALGORITHMS.values() for each in fitting)
        if self.signing_algorithm and self.signing_algorithm not in known:
            wanted = alternatives(self.signing_algorithm, known)
            yield f"signing_algorithm can't be {self.signing_algorithm!r}, but one of {wanted}"
        elif problem := self.signing_problem():
            yield problem
        if self.assertion_lifetime < 1:
            yield "assertion_lifetime must be at least 1"
        yield from self._check_assertion()

    def _check_assertion(self) -> Iterable[str]:
        try:
            json.dumps([dict(self.assertion_claims), dict(self.assertion_headers)])
        except TypeError as error:
            yield f"assertion_claims or assertion_headers make no JWT: {error}"
        if "alg" in self.assertion_headers:
            yield "assertion_headers can't contain alg, which signing_algorithm says"
        for option, name in (("assertion_claims", "iss"), ("assertion_headers", "kid")):
            if not isinstance(getattr(self, option).get(name, ""), str | None):
                yield f"{option}[{name!r}] must be a string"

    def signing_problem(self) -> str:
        """Return why nothing can be signed with what settings hold, in a sentence; "" if it can, or need not."""
        try:
            if self.signing_key not in {"", ELSEWHERE}:
                self._key.algorithm(self.signing_algorithm)
            if "client_secret_jwt" in self._ways:
                self._shared_key.algorithm(self._secret_algorithm)
        except ValueError as error:
            return str(error)
        return ""

    def unready(self) -> str:
        """Return why no request can be made with what has been read by now, in a sentence; "" if it can."""
        if self.assertion_file not in {"", ELSEWHERE} and not _JWT.fullmatch(self.assertion_file):
            return "assertion_file holds no JWT"
        return self.signing_problem()

    @cached_property
    def _key(self) -> SigningKey:
        try:
            return SigningKey.parse(self.signing_key, self.signing_algorithm)
        except ValueError as error:
            raise ValueError(f"signing_key {error}") from None

    @property
    def _shared_key(self) -> SigningKey:
        try:
            return SigningKey.shared(self.client_secret)
        except ValueError as error:
            raise ValueError(f"client_secret {error}") from None

    @property
    def _secret_algorithm(self) -> str:
        # With both a key and a secret the option is about the key.
        return "" if self.signing_key else self.signing_algorithm

    # -- requests

    def assertion(self) -> str:
        """Return the JWT that ``{assertion}`` stands for; raises ValueError if it can't be made."""
        if self.is_preview:
            return "{assertion}"
        # By now the option holds what is in the file.
        return self.assertion_file or self.signed(self.claims(), self._key, self.signing_algorithm)

    def claims(self) -> dict[str, Any]:
        """Return the claims of the JWT that ``{assertion}`` stands for."""
        values = Secrets({**self._texts, "audience": self._audience, **self._key_values()})
        usual = {name: value for name, value in _filled(self._usual_claims, values).items() if value}
        claims = {**usual, **self._stamped(*self._stamps), **_filled(self.assertion_claims, values)}
        return {name: value for name, value in claims.items() if value is not None}

    def _key_values(self) -> dict[str, str]:
        """Return what claims may contain of the key itself."""
        return {"public_key_fingerprint": self._key.fingerprint}

    @property
    def _audience(self) -> str:
        return self.assertion_audience or self.url(self.login_path)

    def _stamped(self, *names: str) -> dict[str, Any]:
        now = int(clock.now().timestamp())
        begins = now - int(self.clock_skew)
        ends = now + int(self.assertion_lifetime)
        stamps = {"iat": begins, "nbf": begins, "exp": ends, "jti": str(uuid4())}
        return {name: stamps[name] for name in names}

    def signed(self, claims: Mapping[str, Any], key: SigningKey, algorithm: str) -> str:
        """Return a JWT with the headers that settings and the key ask for; raises ValueError if it can't be made."""
        named = {"kid": self.key_id or key.key_id or None, **key.thumbprints, **self.assertion_headers}
        return key.sign(claims, {name: value for name, value in named.items() if value is not None}, algorithm)

    def _request(
        self,
        url: str,
        query: dict[str, str],
        headers: dict[str, str],
        fields: dict[str, Any],
        body_format: str,
        authentication: str = "",
        method: str = "POST",
    ) -> Request:
        authentication = authentication or self.client_authentication
        if authentication in _ASSERTING:
            fields = {**fields, **self._client_fields(authentication)}
            authentication = "none"
        return super()._request(url, query, headers, fields, body_format, authentication, method)

    def _client_fields(self, authentication: str) -> dict[str, str]:
        fields = {"client_id": self.client_id} if self.client_id else {}
        assertion = "{client_assertion}" if self.is_preview else self._client_assertion(authentication)
        return {**fields, "client_assertion_type": _CLIENT_ASSERTION_TYPE, "client_assertion": assertion}

    def _client_assertion(self, authentication: str) -> str:
        if authentication == "assertion_file":
            return self.assertion_file
        client = {"iss": self.client_id, "sub": self.client_id, "aud": self._audience}
        claims = {**client, **self._stamped("iat", "nbf", "exp", "jti")}
        if authentication == "private_key_jwt":
            return self.signed(claims, self._key, self.signing_algorithm)
        return self.signed(claims, self._shared_key, self._secret_algorithm)


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    """Return a value with the placeholders of its texts replaced, at any depth; unknown names are kept."""
    if isinstance(value, Mapping):
        return {name: _filled(inner, values) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(inner, values) for inner in value]
    return filled_within(value, values) if isinstance(value, str) else value
