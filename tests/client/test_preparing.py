"""The client prepares requests as a plain session does, its shortcuts for what is empty included."""

from __future__ import annotations

from typing import Any

import pytest
from requests import Request, Session

from jwt_upstream.client import UpstreamClient

URL = "https://crm.example.com/api/orders/"


@pytest.mark.parametrize(
    "of_call", [{}, {"params": {"a": [1, 2], "b": None}}, {"params": "raw=1"}, {"params": b"b=1"}]
)
@pytest.mark.parametrize("of_session", [{}, {"params": {"s": "1"}}, {"headers": {"User-Agent": None, "X-Mine": "1"}}])
@pytest.mark.parametrize("headers", [{}, {"X-Call": "1"}, {"Accept": None}])
def test_as_a_session_does(of_call: dict[str, Any], of_session: dict[str, Any], headers: dict[str, Any]) -> None:
    """Headers and parameters of the session and of the call are merged alike; None takes one away."""
    plain, client = Session(), UpstreamClient("crm")
    for session in (plain, client):
        session.params.update(of_session.get("params", {}))
        session.headers.update(of_session.get("headers", {}))
    expected = plain.prepare_request(Request("GET", URL, headers=headers, auth=lambda request: request, **of_call))
    prepared = client.prepare_request(Request("GET", "orders/", headers=headers, **of_call))
    assert (prepared.url, dict(prepared.headers)) == (expected.url, dict(expected.headers))


def test_caller_keeps_its_request() -> None:
    """What a caller prepares is left as it was."""
    request = Request("GET", "orders/")
    UpstreamClient("crm").prepare_request(request)
    assert (request.url, request.headers, request.params) == ("orders/", {}, {})
