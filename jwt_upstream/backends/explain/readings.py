"""How a backend interprets one answer and why, in a form that may be shown: with fingerprints instead of tokens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from django.utils.translation import pgettext_lazy
from requests import Response

from jwt_upstream import recorded
from jwt_upstream.backends.base import Backend
from jwt_upstream.backends.core import Outcome, Rule, Verdict, Where, Which, body, document, leaves, media_type, shown
from jwt_upstream.clock import host_now
from jwt_upstream.tokens import fingerprint

#: How many fields of a body are listed at most.
_MAX_FIELDS = 24
_KINDS = {
    str: pgettext_lazy("JSON", "text"),
    bool: pgettext_lazy("JSON", "true or false"),
    int: pgettext_lazy("JSON", "number"),
    float: pgettext_lazy("JSON", "number"),
    list: pgettext_lazy("JSON", "list"),
    dict: pgettext_lazy("JSON", "object"),
}


@dataclass(frozen=True)
class FoundToken:
    """Where a token was found and where its expiry is stated ("" if it is unknown); not the token itself."""

    path: str
    fingerprint: str
    length: int
    is_jwt: bool
    expires_at: datetime | None
    expiry_source: str


@dataclass(frozen=True)
class Reading:
    """How a backend interprets an answer.

    ``rule`` is None if a default gave the verdict; ``source`` says where the rule is defined, or describes the
    default. ``fields`` lists the paths in the body with the types of their values. ``retry_after`` is in seconds.
    """

    where: Where
    status: int
    media_type: str
    size: int
    headers: dict[str, str]
    verdict: Verdict
    source: str
    rule: Rule | None
    reason: str
    retry_after: float | None
    is_ambiguous: bool
    access: FoundToken | None
    refresh: FoundToken | None
    fields: list[str]

    @property
    def decided_by(self) -> str:
        """``source`` in the reader's language."""
        return recorded.translated_source(self.source)


def read(backend: Backend, where: Where, response: Response, secrets: Iterable[str] = ()) -> Reading:
    """Explain an answer that was just received; ``secrets`` are values that it may quote and that are redacted."""
    now = host_now()
    secrets = [*secrets, *backend.automatic_login.known, *backend.own_secrets]
    outcome = _outcome(backend, where, response, now, secrets)
    if outcome.pair:
        secrets += [outcome.pair.access, outcome.pair.refresh]
    explanation = backend.explain(where, response)
    # A backend may override verdict(), which its rules don't explain.
    verdict = backend.verdict(where, response)
    is_explained = explanation.verdict is verdict
    source = explanation.source if is_explained else f"{type(backend).__name__}.verdict"
    pair = outcome.pair
    return Reading(
        where,
        response.status_code,
        shown(media_type(response)),
        len(body(response)),
        _relevant_headers(backend, response, secrets),
        outcome.verdict,
        source if outcome.verdict is verdict else outcome.reason,
        explanation.rule if is_explained else None,
        outcome.full_reason,
        outcome.retry_after,
        outcome.is_ambiguous,
        _found(backend, response, "access", pair.access, pair.access_expires_at, now) if pair else None,
        _found(backend, response, "refresh", pair.refresh, pair.refresh_expires_at, now) if pair else None,
        [shown(field, secrets) for field in islice(_fields(document(response)), _MAX_FIELDS)],
    )


def _outcome(backend: Backend, where: Where, response: Response, now: datetime, secrets: list[str]) -> Outcome:
    if where != "api":
        return backend.outcome(where, response, now, secrets)
    return Outcome(backend.verdict("api", response), backend.reason(response, secrets))


def _relevant_headers(backend: Backend, response: Response, secrets: list[str]) -> dict[str, str]:
    names = ("WWW-Authenticate", "Retry-After", "Location", *backend.rate_limit_headers)
    return {name: shown(response.headers[name], secrets) for name in names if name in response.headers}


def _found(
    backend: Backend, response: Response, which: Which, token: str, expiry: datetime | None, now: datetime
) -> FoundToken | None:
    if not token:
        return None
    own = f"{type(backend).__name__}.token_pair"
    paths = getattr(backend, f"{which}_paths")
    path = next((path for path, text in backend.tokens_at(response, paths) if text == token), own)
    sources = (
        (source, value)
        for source, value, stated in backend.expiries(which, response, token, now)
        if expiry and stated == expiry
    )
    source, value = next(sources, (own if expiry else "", None))
    if value is not None:
        source = f"{source}: {shown(str(value))}"
    is_jwt = token.count(".") == 2 and token.startswith("eyJ")
    return FoundToken(path, fingerprint(token), len(token), is_jwt, expiry, source)


def _fields(value: Any) -> Iterator[str]:
    """Yield the paths in a body with the types of their values, without the values."""
    return (f"{path} ({_KINDS.get(type(inner), 'null')})" for path, inner in leaves(value))
