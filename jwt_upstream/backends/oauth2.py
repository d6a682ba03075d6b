"""Any token endpoint of RFC 6749 (OAuth 2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from jwt_upstream.tokens import TokenPair

from .base import Backend
from .templates import filled, placeholders


class OAuth2Backend(Backend):
    """An OAuth 2 token endpoint (RFC 6749): form requests, JSON answers, errors by ``error`` code (section 5.2).

    ``grant_type`` is how to log in: "password" (section 4.3) or "client_credentials" (4.4), which needs no refresh
    token: the grant is simply repeated. ``scope`` is asked for with the grant, where it is set; what else a server
    wants ("audience") goes into ``login_fields`` and ``refresh_fields``.

    The client authenticates by Basic (section 2.3.1, what every server must support), its id and secret
    form-urlencoded first, as that section says; with ``client_authentication="post"`` in the body, for servers that
    support only this, or that don't decode the special characters of a secret. A client without a secret uses "post"
    as well.
    """

    login_path = "token"
    refresh_path = ""  # the token endpoint serves every grant
    body_format = "form"
    client_authentication = "basic"
    grant_type: str = "password"
    scope: str = ""
    access_paths = ("access_token",)
    refresh_paths = ("refresh_token",)

    def _check_values(self) -> Iterable[str]:
        yield from super()._check_values()
        if self.grant_type not in {"password", "client_credentials"}:
            yield f"grant_type must be 'password' or 'client_credentials', not {self.grant_type!r}"

    @property
    def needs_refresh_token(self) -> bool:
        """Tell whether a new access token takes a stored refresh token."""
        return self.grant_type != "client_credentials"

    @property
    def login_asks(self) -> tuple[str, ...]:
        """Nothing is asked of a person where the client is the account."""
        return super().login_asks if self.needs_refresh_token else ()

    def login_body(self, credentials: Mapping[str, str]) -> dict[str, Any]:
        """Return the grant's fields (RFC 6749, sections 4.3.2 and 4.4.2)."""
        fields = {"grant_type": self.grant_type, **self._grant_fields(credentials)}
        return {**fields, "scope": self.scope} if self.scope else fields

    def _grant_fields(self, credentials: Mapping[str, str]) -> dict[str, Any]:
        if self.needs_refresh_token:
            return super().login_body(credentials)
        asked = set(super().login_asks)
        fields = {name: value for name, value in self.login_fields.items() if not asked & {*placeholders(value)}}
        return filled(fields, self._texts)

    def refresh_body(self, pair: TokenPair) -> dict[str, Any]:
        """Return the fields of a refresh (section 6), or the grant again where there is nothing to refresh."""
        if not self.needs_refresh_token:
            return self.login_body({})
        return {"grant_type": "refresh_token", **super().refresh_body(pair)}
