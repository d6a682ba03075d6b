"""One login or refresh against the answer of a case: what was sent, and what came of it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

import responses
from django.utils import timezone
from requests import PreparedRequest

from jwt_upstream.backends import Backend, Outcome
from jwt_upstream.tokens import TokenPair
from tests.test_wire_cases import CASES

PAIR = TokenPair("a1", "r1")


def exchange(
    backend: Backend, url: str, case_id: str, login: dict[str, str] | None = None, pair: TokenPair = PAIR
) -> tuple[PreparedRequest, Outcome]:
    """Log in, or refresh where no login is given, at a URL which gives the answer of a case."""
    case = next(case for case in CASES if case["id"] == case_id)
    body = case["body"]
    headers = dict(case.get("headers") or {})
    with responses.RequestsMock() as mocked:
        mocked.post(
            url,
            status=case["status"],
            body=body if isinstance(body, str) else "" if body is None else json.dumps(body),
            content_type=headers.pop("Content-Type", "text/plain"),
            headers=headers,
        )
        outcome = backend.refresh(pair) if login is None else backend.login(login)
        return mocked.calls[0].request, outcome


def fields(request: PreparedRequest) -> dict[str, Any]:
    """Return what a body holds, JSON or a form."""
    body = request.body.decode() if isinstance(request.body, bytes) else str(request.body)
    if "json" in request.headers["Content-Type"]:
        return dict(json.loads(body))
    return {name: values[0] for name, values in parse_qs(body, strict_parsing=True).items()}


def lifetime(outcome: Outcome) -> float:
    """Return the seconds until the access token ends, to the nearest ten."""
    assert outcome.pair
    assert outcome.pair.access_expires_at
    return round((outcome.pair.access_expires_at - timezone.now()).total_seconds(), -1)
