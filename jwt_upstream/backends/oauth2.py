"""Any token endpoint of RFC 6749 (OAuth 2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from requests import Response

from jwt_upstream.tokens import TokenPair

from .base import Backend
from .core import ACCOUNT, Rule, Verdict, Where, filled, lookup, placeholders

# Said with ``invalid_grant``, the last by Spring Security (messages.properties), which some servers pass on.
_ACCOUNT = rf"{ACCOUNT}|^User credentials have expired\.?$"


class OAuth2Backend(Backend):
    """An OAuth 2 token endpoint (RFC 6749): form requests, JSON answers, errors by ``error`` code (section 5.2).

    ``grant_type`` is how to log in: "password" (section 4.3); "client_credentials" (4.4), which needs no refresh
    token: the grant is simply repeated; or "authorization_code" (4.1.3), for which ``login_fields`` must name what is
    to be given, such as ``{"code": "{code}", "redirect_uri": "{redirect_uri}"}``. ``scope`` is asked for with the
    grant, where it is set; what else a server wants goes into ``login_fields`` and ``refresh_fields``.

    The client authenticates by Basic (section 2.3.1, what every server must support), its id and secret
    form-urlencoded first, as that section says; with ``client_authentication="post"`` in the body, for servers that
    support only this, or that don't decode the special characters of a secret. A client without a secret uses "post"
    as well.

    A refresh token is rejected by ``invalid_grant``, or by words that speak of it; another code alone, with 401 or 403
    too, is about the client. What else your server says belongs into ``rules``.
    """

    login_path = "token"
    refresh_path = ""  # the token endpoint serves every grant
    body_format = "form"
    client_authentication = "basic"
    grant_type: str = "password"
    scope: str = ""
    redirect_uri: str = ""
    access_paths = ("access_token",)
    refresh_paths = ("refresh_token",)
    refresh_expires_in_paths = (*Backend.refresh_expires_in_paths, "x_refresh_token_expires_in")  # QuickBooks
    rules: Sequence[Rule | Mapping[str, Any]] = (
        Rule(Verdict.LOCKED, ("login", "refresh"), (400, 401, 403), json="error_description", pattern=_ACCOUNT),
        # The old Spring Security OAuth says this of a refresh token.
        Rule(Verdict.REJECTED, ("refresh",), (400, 401), json="error", pattern=r"^invalid_token$"),
    )

    #: Text options that go along with a grant, and with a refresh, where they are set.
    _grant_options: tuple[str, ...] = ("scope",)
    _refresh_options: tuple[str, ...] = ()

    def _check_values(self) -> Iterable[str]:
        yield from super()._check_values()
        grants = {"password", "client_credentials"}
        if "code" in placeholders(self.login_fields):
            grants.add("authorization_code")
        if self.grant_type not in grants:
            yield (
                "grant_type must be 'password', 'client_credentials', or 'authorization_code' with '{code}' in "
                f"login_fields, not {self.grant_type!r}"
            )

    @property
    def needs_refresh_token(self) -> bool:
        """Tell whether a new access token takes a stored refresh token."""
        return self.grant_type != "client_credentials"

    @property
    def login_asks(self) -> tuple[str, ...]:
        """Nothing is asked of a person where the client is the account."""
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
        return filled(fields, self._texts)

    def refresh_body(self, pair: TokenPair) -> dict[str, Any]:
        """Return the fields of a refresh (section 6), or the grant again where there is nothing to refresh."""
        if not self.needs_refresh_token:
            return self.login_body({})
        return {"grant_type": "refresh_token", **super().refresh_body(pair), **self._set(self._refresh_options)}

    def _set(self, names: Iterable[str]) -> dict[str, str]:
        return {name: value for name in names if (value := getattr(self, name))}

    def _refusal(self, where: Where, response: Response) -> tuple[Verdict, str]:
        # Section 5.2: of all codes ``invalid_grant`` alone speaks of the refresh token, and 401 is about the client.
        if where == "refresh" and isinstance(lookup(response, "error"), str):
            return Verdict.CONFIG, f"a {response.status_code} with an error other than invalid_grant"
        return super()._refusal(where, response)
