"""The requests that an upstream is sent: of a login, a refresh and a call. Builds them, and sends nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any
from urllib.parse import quote, quote_plus, urljoin

from django.utils.functional import cached_property
from django.views.decorators.debug import sensitive_variables
from requests import PreparedRequest, Request
from urllib3.util import make_headers

from jwt_upstream.tokens import Secrets, TokenPair

from .options import Configurable
from .templates import filled, filled_within, placeholders, placeholders_within
from .urls import is_web_address, origin

_WEB_ADDRESS = re.compile("https?://", re.IGNORECASE)
#: The header values that http.client and requests accept.
_HEADER_VALUE = re.compile(r"(?! )[\x20-\x7e\x80-\xff]*")


class Requests(Configurable):
    """The half of a backend that builds requests; every annotated attribute is an option.

    Paths, fields, queries and headers may contain placeholders. Those of a login stand for what the login is given,
    such as ``{username}`` and ``{password}``, those of a refresh for the tokens, ``{refresh}`` and ``{access}``, and
    ``{access}`` in ``api_headers`` for the access token. Any of them may name a text option, such as ``{client_id}``
    or ``{api_key}``. Without fields a request has no body.
    """

    login_path: str = "login"
    refresh_path: str = "refresh"  # empty: ``login_path``
    login_fields: Mapping[str, Any] = {"username": "{username}", "password": "{password}"}
    refresh_fields: Mapping[str, Any] = {"refresh_token": "{refresh}"}
    login_query: Mapping[str, str] = {}
    refresh_query: Mapping[str, str] = {}
    login_headers: Mapping[str, str] = {}
    refresh_headers: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}  # of logins and refreshes
    api_headers: Mapping[str, str] = {"Authorization": "Bearer {access}"}
    #: What happens to a caller's own header that ``api_headers`` sets as well: "refuse" or "replace".
    caller_authorization: str = "refuse"
    #: Whether calls may not leave the path of ``BASE_URL``.
    within_base_url: bool = False
    #: "json" or "form"; ``refresh_format`` overrides it for refreshes.
    body_format: str = "json"
    refresh_format: str = ""

    client_id: str = ""
    client_secret: str = ""
    client_authentication: str = "none"
    api_key: str = ""

    #: The text options that must be set, in addition to those that the paths contain.
    _requires: tuple[str, ...] = ()

    def missing(self) -> Iterable[str]:
        """Return the names of the empty options without which there can be no login and no refresh."""
        names = dict.fromkeys((*self._requires, *self._located_by("login_path"), *self._located_by("refresh_path")))
        if self.client_authentication != "none":
            names |= {"client_id": None}
        return [name for name in names if not getattr(self, name)]

    def _located_by(self, path: str) -> list[str]:
        """Return the text options that a path contains, such as ``realm``."""
        return [name for name in placeholders_within({path: getattr(self, path)}) if name in self._texts]

    def _check_requests(self) -> Iterable[str]:
        if self.body_format not in {"json", "form"}:
            yield f"body_format must be 'json' or 'form', not {self.body_format!r}"
        if self.refresh_format not in {"", "json", "form"}:
            yield f"refresh_format must be 'json', 'form' or empty, not {self.refresh_format!r}"
        if self.client_authentication not in {"none", "basic", "post"}:
            yield f"client_authentication must be 'none', 'basic' or 'post', not {self.client_authentication!r}"
        if self.caller_authorization not in {"refuse", "replace"}:
            yield f"caller_authorization must be 'refuse' or 'replace', not {self.caller_authorization!r}"
        for name in ("login_path", "refresh_path"):
            if all(getattr(self, option) for option in self._located_by(name)):
                yield from self._check_path(name, getattr(self, name))
        yield from self._check_headers()
        for name in sorted(self._refresh_asks - {"refresh", "access"}):
            yield f"a refresh may contain {{refresh}}, {{access}} and text options, not {{{name}}}"

    def _check_path(self, name: str, path: str) -> Iterable[str]:
        # What counts is where the request goes: "//other.example.com/" and "HTTP:token" look like paths.
        url = self.url(path)
        if not is_web_address(url):
            yield f"{name} is neither a path nor a valid http:// or https:// URL"
        elif not _WEB_ADDRESS.match(path) and origin(url) != origin(self.base_url):
            yield f"{name} leads to {origin(url)}; if that is meant, write the whole URL"

    def _check_headers(self) -> Iterable[str]:
        for name in ("headers", "login_headers", "refresh_headers", "api_headers"):
            for header, text in _all_filled(getattr(self, name), self._texts).items():
                if not _HEADER_VALUE.fullmatch(text):
                    yield f"{name}[{header!r}] has characters that a header can't carry, such as a final line break"

    # -- what logins and refreshes need

    @property
    def login_asks(self) -> tuple[str, ...]:
        """The names of the values that a login must be given, such as ("username", "password")."""
        names = [*placeholders(self.login_fields), *placeholders_within({**self.login_query, **self.login_headers})]
        # The value of an empty option may be given at the login instead.
        known = {name for name in self._texts if self._texts[name] or name in self._requires}
        return tuple(name for name in dict.fromkeys(names) if name not in known)

    @cached_property
    def _refresh_asks(self) -> set[str]:
        names = {*placeholders(self.refresh_fields)}
        names |= {*placeholders_within({**self.refresh_query, **self.refresh_headers})}
        return names - self._texts.keys()

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
        return Secrets({name: getattr(self, name) for name, hint in hints if hint is str})

    # -- requests

    def login_body(self, credentials: Mapping[str, str]) -> dict[str, Any]:
        """Return the fields of a login's body; ``credentials`` holds a value for each name in ``login_asks``."""
        return filled(self.login_fields, {**self._texts, **credentials})

    def refresh_body(self, pair: TokenPair) -> dict[str, Any]:
        """Return the fields of a refresh's body."""
        return filled(self.refresh_fields, {**self._texts, "refresh": pair.refresh, "access": pair.access})

    @sensitive_variables()
    def login_request(self, credentials: Mapping[str, str]) -> Request:
        """Return the unprepared request of a login."""
        fill = partial(_all_filled, values=Secrets({**self._texts, **credentials}))
        headers = {**self.headers, **self.login_headers}
        return self._request(
            self.login_path, fill(self.login_query), fill(headers), self.login_body(credentials), self.body_format
        )

    @sensitive_variables()
    def refresh_request(self, pair: TokenPair) -> Request:
        """Return the unprepared request of a refresh."""
        fill = partial(_all_filled, values=Secrets({**self._texts, "refresh": pair.refresh, "access": pair.access}))
        headers = {**self.headers, **self.refresh_headers}
        return self._request(
            self.refresh_path or self.login_path,
            fill(self.refresh_query),
            fill(headers),
            self.refresh_body(pair),
            self.refresh_format or self.body_format,
        )

    @sensitive_variables()
    def _request(
        self, path: str, query: dict[str, str], headers: dict[str, str], fields: dict[str, Any], body_format: str
    ) -> Request:
        # English, since rules match messages, and Symfony and Django translate theirs.
        headers = {"Accept": "application/json", "Accept-Language": "en", **headers}
        client = {"client_id": self.client_id, "client_secret": self.client_secret}
        if self.client_authentication == "basic":
            # Form-urlencoded first (RFC 6749, section 2.3.1), which changes special characters only.
            basic = make_headers(basic_auth=":".join(map(quote_plus, client.values())))
            headers["Authorization"] = basic["authorization"]
        elif self.client_authentication == "post":
            fields = {**fields, **{name: value for name, value in client.items() if value}}
        json, data = (fields, None) if body_format == "json" else (None, fields)
        return Request("POST", self.url(path), headers=headers, params=query, json=json or None, data=data)

    def url(self, path: str) -> str:
        """Return the URL of a path below ``BASE_URL``; an absolute URL, such as an identity provider's, is kept."""
        url = filled_within(path, self._texts, partial(quote, safe=""))
        return url if _WEB_ADDRESS.match(url) else urljoin(self.base_url, url)

    # -- calls

    def authorize(self, request: PreparedRequest, pair: TokenPair) -> None:
        """Add the access token to a prepared request of a call."""
        for name, template in self._call_headers.items():
            request.headers[name] = template.replace("{access}", pair.access)

    @cached_property
    def _call_headers(self) -> Secrets:
        return Secrets(_all_filled(self.api_headers, self._texts))


@sensitive_variables()
def _all_filled(texts: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    return {name: filled_within(text, values) for name, text in texts.items()}
