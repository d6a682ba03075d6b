"""One login or refresh of a backend, answered as its server does: what was sent, and what came of it."""

from __future__ import annotations

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
    return end and round((end - timezone.now()).total_seconds() / 60)
