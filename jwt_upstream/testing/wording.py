"""Answers in the wording of each server: what a backend's own rules read as expired, rejected, locked and so on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from requests import Response

from jwt_upstream.backends import Backend, Verdict
from jwt_upstream.backends.core import Where, placeholders
from jwt_upstream.clock import host_now
from jwt_upstream.tokens import TokenPair

from .answers import answer

_ANSWER = "answer."
_KEPT = "kept:"
_LIFETIME = 3600

_ACCOUNT = answer(401, body={"message": "Account is disabled."})
#: In order, for servers of which nothing better is recorded.
_GENERAL: dict[Verdict, list[Response]] = {
    Verdict.EXPIRED: [answer(401, {"WWW-Authenticate": 'Bearer error="invalid_token"'}, {"error": "invalid_token"})],
    Verdict.REJECTED: [
        answer(400, body={"error": "invalid_grant"}),
        answer(401, body={"message": "Invalid credentials."}),
    ],
    Verdict.LOCKED: [_ACCOUNT],
    Verdict.CONFIG: [answer(401, body={"error": "invalid_client"}), answer(404, body={"message": "Not Found"})],
}


class NoSuchState(ValueError):
    """An upstream with this backend and these settings can't be in that state."""


@cache
def _recorded() -> dict[str, dict[str, dict[str, Any]]]:
    # Answers of real servers, by the backend's class and by what is answered and how that is read.
    found: dict[str, dict[str, dict[str, Any]]] = json.loads(Path(__file__).with_name("recorded.json").read_text())
    return found


def _candidates(backend: Backend, where: Where, verdict: Verdict) -> Iterator[Response]:
    for cls in type(backend).__mro__:
        if said := _recorded().get(cls.__name__, {}).get(f"{where} {verdict.name}"):
            yield answer(**said)
    yield from map(answer, (*backend.locked_statuses, *backend.expired_statuses))
    yield from _GENERAL[verdict]


def wording(backend: Backend, where: Where, verdict: Verdict, given: Sequence[Response] = ()) -> Response | None:
    """Return an answer that a backend gives this verdict, None if there is none.

    It is one that a test has ``given``, if there are any, else its server's if one is recorded, or a general one.
    """
    said = given or _candidates(backend, where, verdict)
    return next((each for each in said if backend.verdict(where, each) is verdict), None)


def good_answer(backend: Backend, access: str, refresh: str) -> Response:
    """Return an answer to a login or refresh which holds these tokens where a backend looks for them.

    It holds as well what the steps of a login keep, and what calls need besides.
    """
    headers: dict[str, str] = {}
    content: dict[str, Any] = {}
    for path, value in _values(backend, access, refresh):
        kind, colon, name = path.partition(":")
        if not colon:
            content = _with(content, path.split("."), value)
        elif kind == "cookie":
            headers["Set-Cookie"] = f"{name}={value}; HttpOnly"
        else:
            headers[name] = str(value)
    return answer(200, headers, content)


def _values(backend: Backend, access: str, refresh: str) -> Iterator[tuple[str, Any]]:
    yield from ((path, _kept(name)) for step in backend.steps for name, path in step.keep.items())
    needed = placeholders([backend.api_headers, backend.api_query, backend.refresh_fields])
    names = dict.fromkeys(name for name in needed if name.startswith(_ANSWER))
    yield from ((name.removeprefix(_ANSWER), _kept(name)) for name in names)
    yield from ((path, backend.base_url) for path in backend.base_url_paths[:1] if not path.startswith(_KEPT))
    if access:
        yield backend.access_paths[0], access
    if refresh and backend.refresh_paths:
        yield backend.refresh_paths[0], refresh
    if backend.expires_in_paths:
        yield backend.expires_in_paths[0], _LIFETIME * (1000 if backend.lifetime_unit == "ms" else 1)


def _kept(name: str) -> str:
    return f"fake-{name}"


def _with(content: Any, steps: list[str], value: Any) -> Any:
    """Return what there is of an answer, with a value at a path."""
    if not steps:
        return value
    first, *rest = steps
    if first.isdecimal():
        return [_with(content[0] if isinstance(content, list) else {}, rest, value)]
    content = content if isinstance(content, dict) else {}
    return {**content, first: _with(content.get(first), rest, value)}


def read_pair(backend: Backend, access: str, refresh: str) -> TokenPair:
    """Return the pair that a backend reads in the answer to a login, with whatever calls need besides."""
    kept = {name: _kept(name) for name in backend.kept_names}
    found = backend.outcome("login", good_answer(backend, access, refresh), host_now(), kept=kept)
    if found.pair is None:
        raise NoSuchState(f"{backend.alias}: no answer is known that it reads as a login: {found.reason}")
    return found.pair
