"""What a backend would send, with ``{name}`` in place of secrets and "[…]" for what may be one; sends nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import unquote_plus

from django.views.decorators.debug import sensitive_variables
from requests import PreparedRequest, Request

from jwt_upstream.backends.base import Backend
from jwt_upstream.backends.core import masked
from jwt_upstream.tokens import TokenPair

#: Names of what is not to be shown, and of what only sounds like it ("token_type", Cognito's "AuthFlow").
_SECRET = re.compile(
    r"auth(?!ori)|token|key|secret|pass|pwd|\bpin|otp|cookie|cred|sign|hash|session|assert|jwt|code", re.I
)
_NO_SECRET = re.compile(r"(type|flow|method|format|algorithm|authentication|path|url|uri)$", re.I)
_HARMLESS_HEADERS = {"accept", "accept-language", "content-type", "user-agent", "x-amz-target"}
_IN_QUERY = re.compile(r"(?<=[?&])([^=&#]*)=([^&#]*)")
_KEPT = re.compile(r"\{\w+\}|\b(?:Basic|Bearer|JWT|Token)\b", re.I)


@dataclass(frozen=True)
class Preview:
    """A request as it would be sent, but for its secrets; ``problem`` says why there is none to show."""

    method: str = ""
    url: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    problem: str = ""


@sensitive_variables()
def previews(backend: Backend) -> dict[str, Preview]:
    """Return the requests of a login, a refresh and a call, built by the backend's own methods from stand-ins."""
    secrets = {name for name, hint in backend.option_types().items() if hint is str and _is_secret(name)}
    names = {*backend.missing(), *(name for name in secrets if getattr(backend, name))}
    standing_in = {name: f"{{{name}}}" for name in names}
    double = type(backend)(backend.alias, backend.base_url, **{**backend._options, **standing_in})
    pair = TokenPair("{access}", "{refresh}")
    credentials = {name: f"{{{name}}}" for name in double.login_asks}
    return {
        "login": _preview(partial(double.login_request, credentials)),
        "refresh": _preview(partial(double.refresh_request, pair)),
        "api": _preview(partial(_call, double, pair)),
    }


def _call(backend: Backend, pair: TokenPair) -> Request:
    prepared = PreparedRequest()
    prepared.prepare("GET", backend.base_url)
    backend.authorize(prepared, pair)
    return Request("GET", prepared.url, headers=dict(prepared.headers))


@sensitive_variables()
def _preview(build: Callable[[], Request]) -> Preview:
    try:
        request = build()
        request.headers = {name: _veiled_header(name, str(text)) for name, text in request.headers.items()}
        request.params, request.json, request.data = map(
            partial(_veiled, ""), (request.params, request.json, request.data)
        )
        prepared = request.prepare()
    except Exception as error:  # of a method of the project's own, which a stand-in doesn't suit
        return Preview(problem=f"can't be shown without the real secrets ({type(error).__name__})")
    headers = tuple((name, str(text)) for name, text in prepared.headers.items() if name != "Content-Length")
    body = prepared.body or ""
    text = body.decode() if isinstance(body, bytes) else str(body)
    return Preview(
        str(prepared.method), _IN_QUERY.sub(_veiled_part, _readable(str(prepared.url))), headers, _readable(text)
    )


def _readable(text: str) -> str:
    # What quoting made of our own braces and dots.
    return text.replace("%7B", "{").replace("%7D", "}").replace("%5B%E2%80%A6%5D", "[…]").replace("\\u2026", "…")


def _is_secret(name: str) -> bool:
    return bool(_SECRET.search(name)) and not _NO_SECRET.search(name)


def _veiled(name: str, value: Any) -> Any:
    """Return fields with "[…]" for what may be a secret, by name or by look."""
    if isinstance(value, Mapping):
        return {inner: _veiled(str(inner), each) for inner, each in value.items()}
    if isinstance(value, list | tuple):
        return [_veiled(name, each) for each in value]
    if not isinstance(value, str):
        return value
    if _is_secret(name):
        return _kept(value)
    return value if value.startswith(("http://", "https://", "urn:")) or name == "client_id" else masked(value)


def _veiled_part(part: re.Match[str]) -> str:
    """Do so with a part of a query that a path brought along."""
    name, value = map(unquote_plus, part.groups())
    veiled = _veiled(name, value)
    return part[0] if veiled == value else f"{part[1]}={veiled}"


def _veiled_header(name: str, text: str) -> str:
    # Of other headers nobody can tell what is secret.
    return text if name.lower() in _HARMLESS_HEADERS else _kept(text)


def _kept(text: str) -> str:
    """Keep stand-ins and the scheme, and mask the rest."""
    pieces = re.split(f"({_KEPT.pattern})", text, flags=re.I)
    return "".join(
        piece if not piece.strip() or _KEPT.fullmatch(piece) else re.sub(r"\S.*\S|\S", "[…]", piece)
        for piece in pieces
    )
