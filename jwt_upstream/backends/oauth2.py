"""Any token endpoint of RFC 6749 (OAuth 2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.utils.functional import cached_property
from requests import Response

from jwt_upstream import recorded
from jwt_upstream.tokens import TokenPair

from .base import Backend
from .core import ACCOUNT, Rule, Verdict, Where, filled, lookup, placeholders

# Descriptions of an ``invalid_grant``; the last is Spring Security's (messages.properties), which some servers copy.
_ACCOUNT = rf"{ACCOUNT}|^User credentials have expired\.?$"
#: Of a login with a code (section 4.1.3).
_CODE_FIELDS = {"code": "{code}", "redirect_uri": "{redirect_uri}"}

#: RFC 7523, section 2.1, and RFC 8693, section 2.1.
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
_ASSERTING: Mapping[str, Mapping[str, str]] = {
    JWT_BEARER: {"assertion": "{assertion}"},
    TOKEN_EXCHANGE: {"subject_token": "{assertion}", "subject_token_type": "urn:ietf:params:oauth:token-type:jwt"},
}


class OAuth2Backend(Backend):
    """An OAuth 2 token endpoint (RFC 6749): form requests, JSON answers and ``error`` codes (section 5.2).

    ``grant_type`` is how to log in: "password" (section 4.3); "client_credentials" (4.4), for which there are no
    refresh tokens and a refresh repeats the grant; or "authorization_code" (4.1.3), for which a person logs in by a
    browser at ``authorize_path``. ``scope`` is sent with the grant, and asked of the person, if it is set. With
    "urn:ietf:params:oauth:grant-type:jwt-bearer" (RFC 7523) a login sends a JWT, and with
    "urn:ietf:params:oauth:grant-type:token-exchange" (RFC 8693) it exchanges one: the JWT that we sign, or that of
    ``assertion_file``; there are no refresh tokens either. Anything else that a server needs goes into
    ``login_fields`` and ``refresh_fields``.

    The client authenticates by HTTP Basic, which every server must support, with its id and secret form-urlencoded
    first (section 2.3.1). With ``client_authentication="post"`` they are sent in the body: for servers that support
    nothing else or don't decode the special characters of a secret, and for clients without a secret.

    ``invalid_grant`` rejects a refresh token, as does a message that the refresh token is dead, whatever code and
    status stand beside it. Any other code, with 401 and 403 too, is about the client. Add ``rules`` for anything else
    that your server says.

    A logout is told to ``revoke_path`` if that is set, as RFC 7009 describes (section 2.1): it sends the refresh
    token, with which the server ends the access token as well, or the access token if there is no other. The RFC names
    no path; many servers have ``./revoke``, beside the token endpoint.

    With ``device_path``, the device authorization endpoint of RFC 8628, a person can log in
    (:doc:`/howto/device_login`), unless the grant is one that a refresh repeats.
    """

    login_path = "token"
    refresh_path = ""  # the token endpoint serves every grant
    body_format = "form"
    client_authentication = "basic"
    grant_type: str = "password"
    scope: str = ""
    access_paths: tuple[str, ...] = ("access_token",)
    refresh_paths = ("refresh_token",)
    revoke_fields = {"token": "{token}", "token_type_hint": "{token_type}"}
    refresh_expires_in_paths = (*Backend.refresh_expires_in_paths, "x_refresh_token_expires_in")  # QuickBooks
    rules: Sequence[Rule | Mapping[str, Any]] = (
        Rule(Verdict.LOCKED, ("login", "refresh"), (400, 401, 403), json="error_description", pattern=_ACCOUNT),
        # The discontinued Spring Security OAuth says this of a refresh token.
        Rule(Verdict.REJECTED, ("refresh",), (400, 401), json="error", pattern=r"^invalid_token$"),
    )

    #: The text options that are sent with a grant, and those that are sent with a refresh, if they are set.
    _grant_options: tuple[str, ...] = ("scope",)
    _refresh_options: tuple[str, ...] = ()

    def __init__(self, alias: str, base_url: str, /, **options: Any) -> None:
        super().__init__(alias, base_url, **options)
        if self.grant_type == "authorization_code" and "login_fields" not in options:
            self.login_fields = _CODE_FIELDS

    def _check_values(self) -> Iterable[str]:
        yield from super()._check_values()
        grants = {"password", "client_credentials", *_ASSERTING}
        if "code" in placeholders(self.login_fields):
            grants.add("authorization_code")
        if self.grant_type not in grants:
            others = f"'client_credentials', {JWT_BEARER!r}, {TOKEN_EXCHANGE!r}"
            code = "'authorization_code' with '{code}' in login_fields"
            yield f"grant_type must be 'password', {others}, or {code}, not {self.grant_type!r}"
        if self.grant_type in _ASSERTING and self.client_authentication == "basic" and not self.client_secret:
            yield "client_authentication 'basic' needs a client_secret; if the JWT says who the client is, set 'none'"

    @property
    def _is_asserting(self) -> bool:
        return self.grant_type in _ASSERTING or super()._is_asserting

    @property
    def _repeats_login(self) -> bool:
        return super()._repeats_login or bool(self.login_steps and not self.needs_refresh_token)

    @property
    def needs_refresh_token(self) -> bool:
        """Tell whether a refresh sends the stored refresh token; some grants are repeated instead."""
        return self.grant_type != "client_credentials" and self.grant_type not in _ASSERTING

    @property
    def login_asks(self) -> tuple[str, ...]:
        """The names of the values that a login must be given; for a grant that is repeated there are none."""
        return super().login_asks if self.needs_refresh_token else ()

    def login_body(self, credentials: Mapping[str, str]) -> dict[str, Any]:
        """Return the grant's fields (RFC 6749, sections 4.1.3, 4.3.2 and 4.4.2)."""
        fields = {"grant_type": self.grant_type, **self._grant_fields(credentials)}
        return {**fields, **self._set(self._grant_options)}

    def _grant_fields(self, credentials: Mapping[str, str]) -> dict[str, Any]:
        if self.needs_refresh_token:
            return super().login_body(credentials)
        asked = set(super().login_asks)
        fields = {name: value for name, value in self.login_fields.items() if not asked & {*placeholders(value)}}
        return filled({**_ASSERTING.get(self.grant_type, {}), **fields}, {**self._texts, **self._made()})

    def device_body(self) -> dict[str, Any]:
        """Return the fields of a request for the codes of a device login (RFC 8628, section 3.1)."""
        return {**super().device_body(), **self._set(self._grant_options)}

    @cached_property
    def binding(self) -> dict[str, str]:
        """What tokens are bound to, with whatever else a grant names, such as an audience.

        A grant that is repeated gives tokens of the app's own, any other those of whoever logged in.
        """
        others = {name: getattr(self, name) for name in self._grant_options if name != "scope"}
        return {**super().binding, **others, "grant": "" if self.needs_refresh_token else self.grant_type}

    def refresh_body(self, pair: TokenPair) -> dict[str, Any]:
        """Return the fields of a refresh (section 6), or of the grant if it has no refresh tokens."""
        if not self.needs_refresh_token:
            return self.login_body({})
        return {"grant_type": "refresh_token", **super().refresh_body(pair), **self._set(self._refresh_options)}

    def _set(self, names: Iterable[str]) -> dict[str, str]:
        return {name: value for name in names if (value := getattr(self, name))}

    def _refusal(self, where: Where, response: Response) -> tuple[Verdict, str]:
        # Section 5.2: only ``invalid_grant`` is about the refresh token, and a 401 is about the client.
        if where == "refresh" and isinstance(lookup(response, "error"), str):
            return Verdict.CONFIG, recorded.OTHER_REFUSAL % {"status": response.status_code}
        return super()._refusal(where, response)
