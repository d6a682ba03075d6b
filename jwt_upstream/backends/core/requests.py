"""The requests that an upstream is sent: of login, refresh, call and logout. Builds them, and sends nothing."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import quote, quote_plus, urljoin

from django.utils.functional import cached_property
from requests import Request

from jwt_upstream.binding import PARAMETER, in_order
from jwt_upstream.headers import header_problems
from jwt_upstream.names import did_you_mean
from jwt_upstream.tokens import Secrets, TokenPair

from .options import Configurable
from .templates import all_filled, filled, filled_within, placeholders, same_values, unfillable, unknown_functions
from .urls import bound_addresses, is_at, is_web_address, no_host, origin

_WEB_ADDRESS = re.compile("https?://", re.IGNORECASE)

#: The options that name an endpoint, and those that name one of a few ways.
_PATHS = ("login_path", "refresh_path", "revoke_path", "device_path")
METHODS = ("POST", "GET", "PUT", "PATCH")
FORMATS = ("json", "form", "query")
AUTHENTICATIONS = ("none", "basic", "basic_plain", "post", "private_key_jwt", "client_secret_jwt", "assertion_file")
_CHOICES = {
    "login_method": METHODS,
    "refresh_method": METHODS,
    "body_format": FORMATS,
    "refresh_format": (*FORMATS, ""),
    "revoke_format": (*FORMATS, ""),
    "revoke_method": ("POST", "DELETE"),
    "client_authentication": AUTHENTICATIONS,
    "revoke_authentication": (*AUTHENTICATIONS, ""),
    "device_authentication": (*AUTHENTICATIONS, ""),
}
#: The grant of a device login (RFC 8628, section 3.4).
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
#: The text options that are secret.
_SECRET_TEXTS = ("client_secret", "api_key")
#: The options that are templates.
_FIELDS = ("login_fields", "refresh_fields", "revoke_fields", "device_fields", "device_login_fields")
_QUERIES = ("login_query", "refresh_query")
#: A path that begins with what may be a whole URL.
_ADDRESS_FIRST = re.compile(r"\{(\w+)\}(?=[/?]|$)", re.ASCII)
_HEADERS = ("headers", "login_headers", "refresh_headers", "revoke_headers")
_TOKENS = {"refresh", "access"}
_REVOCABLE = _TOKENS | {"token", "token_type"}


class ForbiddenAddress(Exception):
    """An address that an answer named is none that a request may be sent to."""


class Requests(Configurable):
    """The half of a backend that builds requests; every annotated attribute is an option.

    Paths, fields, queries and headers may contain placeholders. Those of a login stand for what the login is given,
    such as ``{username}`` and ``{password}``, those of a refresh for the tokens, ``{refresh}`` and ``{access}``, and
    ``{access}`` in ``api_headers`` for the access token. A revocation has ``{token}`` besides, the refresh token or
    else the access token, and ``{token_type}``, "refresh_token" or "access_token". Any of them may name a text option,
    such as ``{client_id}`` or ``{api_key}``. Without fields a request has no body; with the method GET, or the format
    "query", they go into the query.
    """

    login_path: str = "login"
    refresh_path: str = "refresh"
    login_method: str = "POST"
    refresh_method: str = "POST"
    login_fields: Mapping[str, Any] = {"username": "{username}", "password": "{password}"}
    refresh_fields: Mapping[str, Any] = {"refresh_token": "{refresh}"}
    login_query: Mapping[str, str] = {}
    refresh_query: Mapping[str, str] = {}
    login_headers: Mapping[str, str] = {}
    refresh_headers: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    body_format: str = "json"
    refresh_format: str = ""

    revoke_path: str = ""
    revoke_method: str = "POST"
    revoke_fields: Mapping[str, Any] = {}
    revoke_headers: Mapping[str, str] = {}
    revoke_format: str = ""
    revoke_authentication: str = ""

    device_path: str = ""
    device_fields: Mapping[str, Any] = {"client_id": "{client_id}"}
    device_login_fields: Mapping[str, Any] = {"grant_type": DEVICE_GRANT, "device_code": "{device_code}"}
    device_authentication: str = ""
    base_url_hosts: tuple[str, ...] = ()

    client_id: str = ""
    client_secret: str = ""
    client_secret_expires_at: str = ""
    client_authentication: str = "none"
    api_key: str = ""

    #: The text options that must be set, in addition to those that the paths contain.
    _requires: tuple[str, ...] = ()
    #: The text options that list scopes besides ``scope``.
    _scope_options: tuple[str, ...] = ()

    def missing(self) -> Iterable[str]:
        """Return the names of the empty options without which there can be no login and no refresh."""
        located = (name for path in _PATHS for name in self._located_by(path))
        names = dict.fromkeys((*self._requires, *located))
        if self.client_authentication != "none":
            names |= {"client_id": None}
        return [name for name in names if not (self._texts.get(name) or getattr(self, name, ""))]

    def _located_by(self, path: str) -> list[str]:
        """Return the text options that a path contains, such as ``realm``."""
        paths = [getattr(self, path)]
        if _is_beside(paths[0]):
            paths.append(self.login_path)
        return [name for name in placeholders(paths) if name in self._texts]

    @property
    def client_secret_expiry(self) -> datetime | None:
        """When the client secret expires, if settings say so; raises ValueError for what is no ISO date."""
        written = self.client_secret_expires_at
        expiry = datetime.fromisoformat(written) if written else None
        return expiry.replace(tzinfo=UTC) if expiry and expiry.tzinfo is None else expiry

    def _check_requests(self) -> Iterable[str]:
        try:
            self.client_secret_expiry  # noqa: B018 -- raises
        except ValueError:
            yield "client_secret_expires_at must be an ISO date, such as '2027-01-31'"
        for name, allowed in _CHOICES.items():
            if (value := getattr(self, name)) not in allowed:
                meant = did_you_mean(value, filter(None, allowed))
                yield f"{name} must be {_either(allowed)}, not {value!r}{meant}"
        for name in _PATHS:
            if all(self._texts[option] for option in self._located_by(name)):
                yield from self._check_path(name, getattr(self, name))
        yield from self._check_headers()
        yield from self._check_functions((*_PATHS, *_FIELDS, *_QUERIES, *_HEADERS))
        asked = {name for name in self._refresh_asks - _TOKENS if not name.startswith("answer.")}
        yield from unfillable("a refresh", ("refresh", "access"), asked, self._texts)
        tokens = ("refresh", "access", "token", "token_type")
        yield from unfillable("a revocation", tokens, self._revoke_asks - _REVOCABLE, self._texts)
        asked = {*placeholders(self.device_fields), *placeholders(self.device_login_fields)} - self._texts.keys()
        yield from unfillable("a device login", ("device_code",), asked - {"device_code"}, self._texts)

    @property
    def _may_be_misread(self) -> bool:
        """Whether the client's id or secret has characters that Basic has in one form for some servers only."""
        texts = (self.client_id, self.client_secret)
        return self.client_authentication == "basic" and any(quote_plus(text) != text for text in texts)

    def _check_path(self, name: str, path: str) -> Iterable[str]:
        # What counts is where the request goes: "//other.example.com/" and "HTTP:token" look like paths.
        beside = self._beside(path)
        url = self.url(path, beside=beside)
        if not is_web_address(url):
            if not _is_beside(path):  # else it is the other one that is wrong
                yield f"{name} is neither a path nor a valid http:// or https:// URL{no_host(path, self._texts)}"
        elif not _WEB_ADDRESS.match(path) and origin(url) != origin(beside):
            yield f"{name} leads to {origin(url)}; if that is meant, write the whole URL"

    def _check_functions(self, options: Iterable[str]) -> Iterable[str]:
        for option in options:
            for name in unknown_functions(getattr(self, option)):
                yield f"{option} has {{{name}:…}}, which is no function, or has too few arguments"

    def _check_headers(self, options: Iterable[str] = _HEADERS) -> Iterable[str]:
        for name in options:
            yield from header_problems(name, all_filled(getattr(self, name), self._texts))

    # -- what logins and refreshes need

    @property
    def login_asks(self) -> tuple[str, ...]:
        """The names of the values that a login must be given, such as ("username", "password")."""
        located = (name for name in placeholders(self.login_path) if name not in self._texts)
        names = [*placeholders([self.login_fields, self.login_query, self.login_headers]), *located]
        # The value of an empty option may be given at the login instead.
        known = {name for name in self._texts if self._texts[name] or name in self._requires} | self._made_names
        return tuple(name for name in dict.fromkeys(names) if name not in known)

    @cached_property
    def _refresh_asks(self) -> set[str]:
        names = {*placeholders([self.refresh_fields, self.refresh_query, self.refresh_headers])}
        return names - self._texts.keys() - self._made_names

    @property
    def needs_refresh_token(self) -> bool:
        """Tell whether a refresh sends the stored refresh token."""
        return "refresh" in self._refresh_asks

    def can_refresh(self, pair: TokenPair) -> bool:
        """Tell whether a pair holds the tokens that a refresh sends."""
        return bool(pair.refresh or not self.needs_refresh_token) and bool(
            pair.access or "access" not in self._refresh_asks
        )

    @cached_property
    def _texts(self) -> Secrets:
        # Annotated attributes only, so that a placeholder can name an option and no internal attribute.
        hints = self.option_types().items()
        texts = {name: getattr(self, name) for name, hint in hints if hint is str}
        return Secrets({**texts, **self.own_parameters, **self.own_account_secrets})

    @property
    def _made_names(self) -> set[str]:
        """The names of the values that are made anew for each request for tokens."""
        return set()

    def _made(self) -> dict[str, str]:
        """Return the values that are made anew for each request for tokens, by name."""
        return {}

    @cached_property
    def _revoke_asks(self) -> set[str]:
        return {*placeholders([self.revoke_fields, self.revoke_headers])} - self._texts.keys()

    # -- requests

    def login_body(self, credentials: Mapping[str, str]) -> dict[str, Any]:
        """Return the fields of a login's body; ``credentials`` holds a value for each name in ``login_asks``."""
        return filled(self.login_fields, {**self._texts, **self._made(), **credentials})

    def refresh_body(self, pair: TokenPair) -> dict[str, Any]:
        """Return the fields of a refresh's body."""
        return filled(self.refresh_fields, self._values_of(pair))

    def revoke_body(self, tokens: Mapping[str, str]) -> dict[str, Any]:
        """Return the fields of a revocation's body; ``tokens`` holds refresh, access, token and token_type."""
        return filled(self.revoke_fields, {**self._texts, **tokens})

    def _values_of(self, pair: TokenPair) -> Secrets:
        made = self._made()
        return Secrets({**self._texts, **made, **pair.answer, "refresh": pair.refresh, "access": pair.access})

    @same_values()
    def login_request(self, credentials: Mapping[str, str]) -> Request:
        """Return the unprepared request of a login."""
        return self.templated_request(
            self.login_path,
            credentials,
            query=self.login_query,
            headers={**self.headers, **self.login_headers},
            fields=self.login_body(credentials),
            are_filled=True,
            method=self.login_method,
        )

    @same_values()
    def refresh_request(self, pair: TokenPair) -> Request:
        """Return the unprepared request of a refresh."""
        return self.templated_request(
            self.refresh_path or self.login_path,
            self._values_of(pair),
            query=self.refresh_query,
            headers={**self.headers, **self.refresh_headers},
            fields=self.refresh_body(pair),
            are_filled=True,
            method=self.refresh_method,
            body_format=self.refresh_format,
        )

    def templated_request(
        self,
        path: str,
        values: Mapping[str, Any],
        *,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        fields: Mapping[str, Any],
        are_filled: bool = False,
        method: str = "POST",
        body_format: str = "",
        authentication: str = "",
    ) -> Request:
        """Return an unprepared request made of templates; raises ForbiddenAddress for a host that no settings name."""
        known = Secrets({**self._texts, **self._made(), **values})
        body = dict(fields) if are_filled else filled(fields, known)
        url, how = self._located(path, known), body_format or self.body_format
        return self._request(
            url, all_filled(query, known), all_filled(headers, known), body, how, authentication, method
        )

    def _located(self, path: str, values: Secrets) -> str:
        """Return the URL of a path, which may begin with an address that an answer named."""
        match = _ADDRESS_FIRST.match(path)
        address = str(values[match[1]]) if match and match[1] in values else ""
        if match is None or "://" not in address:
            return self.url(path, values=values)
        rest = filled_within(path[match.end() :], values, partial(quote, safe=""))
        url = (address.rstrip("/") if rest.startswith("/") else address) + rest
        is_ours = is_web_address(url) and origin(url) == origin(self.base_url)
        if not (is_ours or match[1] in self._texts or is_at(url, self.base_url_hosts)):
            raise ForbiddenAddress("an answer named an address to ask next that is at none of base_url_hosts")
        return url

    def _can_revoke(self, pair: TokenPair) -> bool:
        """Tell whether there is a ``revoke_path``, and the pair has the tokens that it takes."""
        tokens = _revoked_tokens(pair)
        return bool(self.revoke_path) and all(tokens.get(name) for name in self._revoke_asks)

    @same_values()
    def revoke_request(self, pair: TokenPair) -> Request | None:
        """Return the unprepared request of a revocation; None without ``revoke_path``, or the tokens that it sends."""
        if not self._can_revoke(pair):
            return None
        tokens = _revoked_tokens(pair)
        url = self.endpoint(self.revoke_path)
        headers = all_filled({**self.headers, **self.revoke_headers}, Secrets({**self._texts, **tokens}))
        how = self.revoke_authentication or self.client_authentication
        body_format = self.revoke_format or self.body_format
        return self._request(url, {}, headers, self.revoke_body(tokens), body_format, how, self.revoke_method)

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
        # English, since rules match messages, and Symfony and Django translate theirs.
        headers = {"Accept": "application/json", "Accept-Language": "en", **headers}
        client = {"client_id": self.client_id, "client_secret": self.client_secret}
        if authentication in {"basic", "basic_plain"}:
            # Form-urlencoded first (RFC 6749, section 2.3.1), which changes special characters only.
            parts = map(quote_plus if authentication == "basic" else str, client.values())
            headers["Authorization"] = basic(":".join(parts))
        elif authentication == "post":
            fields = {**fields, **{name: value for name, value in client.items() if value}}
        if method == "GET" or body_format == "query":
            query, fields = {**fields, **query}, {}
        json, data = (fields, None) if body_format == "json" else (None, fields)
        return Request(method, url, headers=headers, params=query, json=json or None, data=data)

    def url(self, path: str, *, beside: str = "", values: Secrets | None = None) -> str:
        """Return the URL of a path below ``BASE_URL``, or that of another path if ``beside`` names its URL.

        An absolute URL, such as an identity provider's, is kept.
        """
        url = filled_within(path, self._texts if values is None else values, partial(quote, safe=""))
        return url if _WEB_ADDRESS.match(url) else urljoin(beside or self.base_url, url)

    def endpoint(self, path: str) -> str:
        """Return the URL of a path that may be beside ``login_path``."""
        return self.url(path, beside=self._beside(path))

    def _beside(self, path: str) -> str:
        return self.url(self.login_path) if _is_beside(path) else self.base_url

    @cached_property
    def binding(self) -> dict[str, str]:
        """What tokens are bound to: a pair that was stored with another binding is not used.

        Holds no secret, and nothing that is to change while tokens stay good, such as a client secret. A subclass may
        add names, each of which has a text, "" if it is not set.
        """
        # A secret in the path, such as an API key, may be replaced, and must not be stored in plain text.
        texts = Secrets({**self._texts, **{name: name for name in _SECRET_TEXTS}})
        endpoint = filled_within(self.refresh_path or self.login_path, texts, partial(quote, safe=""))
        return {
            **bound_addresses(self.base_url, endpoint, getattr(self, "origins", ())),
            "client": self.client_id,
            "scope": in_order(getattr(self, "scope", "")),
            **{name: in_order(getattr(self, name).replace(",", " ")) for name in self._scope_options},
            **{f"{PARAMETER}{name}": value for name, value in self.own_parameters.items()},
        }


def _revoked_tokens(pair: TokenPair) -> Secrets:
    kind = "refresh_token" if pair.refresh else "access_token"
    return Secrets(refresh=pair.refresh, access=pair.access, token=pair.refresh or pair.access, token_type=kind)


def basic(credentials: str) -> str:
    """Return the header of HTTP Basic for "name:password", in UTF-8 (RFC 7617, section 2.1)."""
    return f"Basic {b64encode(credentials.encode()).decode()}"


def _is_beside(path: str) -> bool:
    return path.startswith(("./", "../"))


def _either(allowed: Iterable[str]) -> str:
    *others, last = (repr(value) if value else "empty" for value in allowed)
    return f"{', '.join(others)} or {last}"
