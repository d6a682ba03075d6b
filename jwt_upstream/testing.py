"""Support for tests of projects that call upstreams: stored tokens without a login, and answers of upstreams."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from os import PathLike
from pathlib import Path
from typing import Any

from requests import Response

from jwt_upstream.backends.explain import saved_answers
from jwt_upstream.clock import host_now
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
    """Store tokens as a login would, so that a test only has to answer the calls that it is about.

    Replaces any stored tokens of the account. ``expires_in`` is in seconds; with None the expiry is unknown, and with
    0 or less the next call begins with a refresh. With pytest-django and responses::

        @pytest.mark.django_db
        @responses.activate
        def test_orders(client):
            logged_in("crm")
            responses.get("https://crm.example.com/api/orders/", json=[{"id": 1}])
            assert client.get("/orders/").json() == [{"id": 1}]
            assert responses.calls[0].request.headers["Authorization"] == "Bearer test-access"
    """
    expiry = None if expires_in is None else host_now() + timedelta(seconds=expires_in)
    pair = TokenPair(access=access, refresh=refresh, access_expires_at=expiry)
    return adopt(alias, account, pair, by="jwt_upstream.testing")


def answer(status: int, headers: Mapping[str, str] | None = None, body: Any = None) -> Response:
    """Return an answer as ``requests`` would have received it, to test a backend of your own.

    ``body`` is bytes, a text, None for an empty body, or a value that is encoded as JSON.
    """
    headers = dict(headers or {})
    if isinstance(body, str):
        body = body.encode()
    elif body is not None and not isinstance(body, bytes):
        headers.setdefault("Content-Type", "application/json")
        body = json.dumps(body).encode()
    return saved_answers.answer(status, headers, body or b"")


def saved_answer(file: str | PathLike[str]) -> Response:
    """Return the answer in a file, as ``curl -i`` prints it; raises ValueError for any other content."""
    return saved_answers.parsed(Path(file).read_bytes())
