"""Aids for the tests of projects which call upstreams: being logged in without a login, and upstreams' answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from os import PathLike
from pathlib import Path
from typing import Any

from django.utils import timezone
from requests import Response

from jwt_upstream.backends.explain import saved_answers
from jwt_upstream.login import adopt
from jwt_upstream.models import Credential
from jwt_upstream.tokens import TokenPair

__all__ = [
    "answer",
    "logged_in",
    "saved_answer",
]


def logged_in(
    alias: str,
    account: str = "default",
    access: str = "test-access",
    refresh: str = "test-refresh",
    expires_in: float | None = 3600,
) -> Credential:
    """Store tokens as if somebody had logged in, so that a test needs to answer only the calls it is about.

    Any stored tokens of the account are replaced. ``expires_in`` is in seconds; None: no stated end; 0 or less: the
    next call begins with a refresh. With pytest-django and responses::

        @pytest.mark.django_db
        @responses.activate
        def test_orders(client):
            logged_in("crm")
            responses.get("https://crm.example.com/api/orders/", json=[{"id": 1}])
            assert client.get("/orders/").json() == [{"id": 1}]
            assert responses.calls[0].request.headers["Authorization"] == "Bearer test-access"
    """
    end = None if expires_in is None else timezone.now() + timedelta(seconds=expires_in)
    pair = TokenPair(access=access, refresh=refresh, access_expires_at=end)
    return adopt(alias, account, pair, by="jwt_upstream.testing")


def answer(status: int, headers: Mapping[str, str] | None = None, body: Any = None) -> Response:
    """Return what ``requests`` would have received, to be judged by a backend of your own.

    ``body`` is bytes, a text, None for none, or a value that is sent as JSON.
    """
    headers = dict(headers or {})
    if isinstance(body, str):
        body = body.encode()
    elif body is not None and not isinstance(body, bytes):
        headers.setdefault("Content-Type", "application/json")
        body = json.dumps(body).encode()
    return saved_answers.answer(status, headers, body or b"")


def saved_answer(file: str | PathLike[str]) -> Response:
    """Return the answer that a file holds, as ``curl -i`` prints it; raises ValueError for what is none."""
    return saved_answers.parsed(Path(file).read_bytes())
