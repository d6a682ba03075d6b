"""One login or refresh of a backend, answered as its server does: what was sent, and what came of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

import responses
from django.utils import timezone
from requests import PreparedRequest

from jwt_upstream.backends import Backend, Outcome
from jwt_upstream.tokens import TokenPair
from tests.support.upstream import Upstream
from tests.support.wire_cases import CASES, answer

API = "https://api.example.com/"
CLIENT = {"client_id": "us", "client_secret": "s3cret"}
PERSON = {"username": "bob", "password": "p w&", "code": "4/0A", "redirect_uri": "http://localhost/"}
OLD = TokenPair("a1", "r1")


def exchange(
    backend: Backend, where: str, body: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> tuple[PreparedRequest, Outcome]:
    """Ask once; returns the request as the server got it, and the outcome."""
    with responses.RequestsMock() as server:
        server.post(re.compile(".*"), json=body, status=status, headers=headers)
        outcome = backend.refresh(OLD) if where == "refresh" else backend.login(PERSON if backend.login_asks else {})
        return server.calls[0].request, outcome


def refreshed(server: Upstream, **options: Any) -> Outcome:
    """Refresh once by a plain backend, at a server that answers as the test says."""
    return Backend("up", server.url, **options).refresh(TokenPair("access-0", "refresh-0"))


def replay(
    backend: Backend, url: str, case_id: str, login: Mapping[str, str] | None = None, pair: TokenPair = OLD
) -> tuple[PreparedRequest, Outcome]:
    """Log in, or refresh where no login is given, at a URL which gives the answer of a case; returns as above."""
    said = answer(next(case for case in CASES if case["id"] == case_id))
    kind = said.headers.pop("Content-Type", "text/plain")
    with responses.RequestsMock() as server:
        server.post(url, status=said.status_code, body=said.content, content_type=kind, headers=dict(said.headers))
        outcome = backend.refresh(pair) if login is None else backend.login(login)
        return server.calls[0].request, outcome


def fields(request: PreparedRequest) -> dict[str, Any]:
    """Return the fields that were sent, be it as JSON or as a form."""
    if "json" not in request.headers["Content-Type"]:
        return form(request)
    assert isinstance(request.body, str | bytes)
    return dict(json.loads(request.body))


def form(request: PreparedRequest) -> dict[str, str]:
    """Return the fields of a form that was sent; fails if it was none."""
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    return dict(parse_qsl(str(request.body), strict_parsing=True, keep_blank_values=True))


def tokens(outcome: Outcome) -> tuple[str, str]:
    """Return both tokens of a good outcome."""
    assert outcome.pair is not None, outcome.reason
    return outcome.pair.access, outcome.pair.refresh


def minutes(end: datetime | None) -> int | None:
    """Return how many minutes it is until an end."""
    return None if end is None else round((end - timezone.now()).total_seconds() / 60)
