"""The requests that a backend would send, with ``{name}`` or "[…]" in place of secrets; sends nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import unquote, unquote_plus

from django.utils.translation import gettext as _
from requests import PreparedRequest, Request

from jwt_upstream.backends.base import Backend
from jwt_upstream.backends.core import masked
from jwt_upstream.tokens import Secrets, TokenPair

#: Names of secrets, and names that only resemble them ("token_type", Cognito's "AuthFlow").
_SECRET_NAME = re.compile(
    r"auth(?!ori)|token|key|secret|pass|pwd|\bpin|otp|cookie|cred|sign|hash|session|assert|jwt|code", re.I
)
_HARMLESS_NAME = re.compile(r"(type|hint|flow|method|format|algorithm|authentication|path|url|uri)$", re.I)
_HARMLESS_HEADERS = {"accept", "accept-language", "content-type", "user-agent", "x-amz-target"}
USER_IN_URL = re.compile(r"(?<=://)[^/@\s]*@")
_QUERY_FIELD = re.compile(r"(?<=[?&])([^=&#]*)=([^&#]*)")
_PLACEHOLDER_OR_SCHEME = re.compile(r"\{\w+\}|\b(?:Basic|Bearer|JWT|Token)\b", re.I)

#: Where a command takes a browser's redirect if settings name no place.
_LOOPBACK = "http://127.0.0.1:8400/"


@dataclass(frozen=True)
class Preview:
    """A request as it would be sent, without its secrets; ``problem`` says why it can't be shown."""

    method: str = ""
    url: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    problem: str = ""


def previews(backend: Backend) -> dict[str, Preview]:
    """Return the requests of a login, a refresh, a call and, where there is one, a logout, a device or browser login.

    They are built by the backend's own methods from placeholders.
    """
    secrets = {name for name, hint in backend.option_types().items() if hint is str and _is_secret(name)}
    names = {*backend.missing(), *(name for name in secrets if getattr(backend, name))}
    stand_ins = {name: f"{{{name}}}" for name in names}
    double = type(backend)(backend.alias, backend.base_url, **{**backend._options, **stand_ins})
    double.is_preview = True
    double.own_parameters = backend.own_parameters
    double.own_account_secrets = Secrets({name: f"{{{name}}}" for name in backend.own_account_secrets})
    pair = TokenPair("{access}", "{refresh}")
    credentials = {name: f"{{{name}}}" for name in (*double.login_asks, *double.kept_names)}
    requests: dict[str, Callable[[], Request | None]] = {
        f"step {number}": partial(step.request, double, credentials) for number, step in enumerate(double.steps, 1)
    }
    requests |= {
        "login": partial(double.login_request, credentials),
        "refresh": partial(double.refresh_request, pair),
        "api": partial(_call, double, pair),
        "logout": partial(double.revoke_request, pair),
        "device": partial(_device, double),
        "browser": partial(_browser, double),
    }
    if not backend.has_token_endpoint:
        del requests["login"], requests["refresh"]
    shown = {name: _preview(build) for name, build in requests.items()}
    return {name: preview for name, preview in shown.items() if preview}


def _call(backend: Backend, pair: TokenPair) -> Request:
    prepared = PreparedRequest()
    prepared.prepare("GET", backend.base_url)
    backend.authorize(prepared, pair)
    return Request("GET", prepared.url, headers=dict(prepared.headers))


def _device(backend: Backend) -> Request | None:
    return backend.device_request() if backend.has_device_login else None


def _browser(backend: Backend) -> Request | None:
    if not backend.has_browser_login:
        return None
    return Request("GET", backend.authorization_request(backend.redirect_uri or _LOOPBACK).url)


def _preview(build: Callable[[], Request | None]) -> Preview | None:
    try:
        request = build()
        if request is None:
            return None
        request.headers = {name: redacted_header(name, str(text)) for name, text in request.headers.items()}
        request.params, request.json, request.data = map(
            partial(_redacted, ""), (request.params, request.json, request.data)
        )
        prepared = request.prepare()
    except Exception as error:  # of a project's own method, which may not accept a placeholder
        return Preview(problem=_problem(error))
    headers = tuple((name, str(text)) for name, text in prepared.headers.items() if name != "Content-Length")
    body = prepared.body or ""
    text = body.decode() if isinstance(body, bytes) else str(body)
    return Preview(
        str(prepared.method),
        _redacted_url(_readable(str(prepared.url))),
        headers,
        _readable(text),
    )


def _problem(error: Exception) -> str:
    text = _("can't be shown without the real secrets (%(error)s)")
    return text % {"error": type(error).__name__}


def _readable(text: str) -> str:
    # Undoes the quoting of our own braces and dots; urllib3 writes a host in small letters.
    text = re.sub("%7[bd]", lambda quoted: unquote(quoted[0]), text, flags=re.IGNORECASE)
    return text.replace("%5B%E2%80%A6%5D", "[…]").replace("\\u2026", "…")


def _is_secret(name: str) -> bool:
    return bool(_SECRET_NAME.search(name)) and not _HARMLESS_NAME.search(name)


def _redacted(name: str, value: Any) -> Any:
    """Return fields with "[…]" in place of values that may be secret by their name or by their form."""
    if isinstance(value, Mapping) and name.endswith("headers"):
        return {header: redacted_header(str(header), str(text)) for header, text in value.items()}
    if isinstance(value, Mapping):
        return {inner: _redacted(str(inner), each) for inner, each in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(name, each) for each in value]
    if not isinstance(value, str):
        return value
    if name.endswith("path"):
        return _redacted_url(value)
    if _is_secret(name):
        return _redacted_text(value)
    return value if value.startswith(("http://", "https://", "urn:")) or name == "client_id" else masked(value)


def redacted_option(name: str, value: Any) -> Any:
    """Return the value of an option as it may be shown."""
    return _redacted(name, value)


def _redacted_url(url: str) -> str:
    """Return a URL or path without a user's password, and without values of its query that may be secret."""
    return _QUERY_FIELD.sub(_redacted_query_field, USER_IN_URL.sub("[…]@", url))


def _redacted_query_field(field: re.Match[str]) -> str:
    """Redact a field of a query that is part of a configured path."""
    name, value = map(unquote_plus, field.groups())
    redacted = _redacted(name, value)
    return field[0] if redacted == value else f"{field[1]}={redacted}"


def redacted_header(name: str, text: str) -> str:
    """Return the value of a header as it may be shown."""
    # The value of any other header may be secret.
    return text if name.lower() in _HARMLESS_HEADERS else _redacted_text(text)


def _redacted_text(text: str) -> str:
    """Redact everything but placeholders and the authentication scheme."""
    pieces = re.split(f"({_PLACEHOLDER_OR_SCHEME.pattern})", text, flags=re.I)
    return "".join(
        piece if not piece.strip() or _PLACEHOLDER_OR_SCHEME.fullmatch(piece) else re.sub(r"\S.*\S|\S", "[…]", piece)
        for piece in pieces
    )
