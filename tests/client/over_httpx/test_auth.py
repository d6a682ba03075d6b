"""The ``auth=``, and its limits."""

from __future__ import annotations

from typing import Any

import httpx
import httpx2
import pytest

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import UpstreamMisconfigured
from jwt_upstream.httpx_auth import UpstreamAuth
from tests.support.upstream import Answer, Upstream, hang_up


@pytest.mark.parametrize("options", [{"api_headers": {"X-Key": "{access}"}}, {"api_query": {"key": "{access}"}}])
def test_more_than_a_header(
    client: UpstreamClient, upstream: Upstream, settings: Any, options: dict[str, Any]
) -> None:
    """What httpx would take wherever a redirect leads is not given to it; the error says what to use."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"] |= options
    with httpx2.Client(auth=UpstreamAuth("up")) as calling, pytest.raises(UpstreamMisconfigured, match="Transport"):
        calling.get(f"{upstream.url}orders/")
    assert upstream.seen == []


def test_header_that_is_no_secret(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """A header that is the same for everybody may go anywhere."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["api_headers"] = {"Authorization": "Bearer {access}", "X-Version": "2"}
    with httpx2.Client(auth=UpstreamAuth("up")) as calling:
        assert calling.get(f"{upstream.url}orders/").status_code == 200
    assert upstream.seen[0].headers["X-Version"] == "2"


@pytest.mark.parametrize("module", [httpx2, httpx], ids=lambda module: module.__name__)
def test_redirects(client: UpstreamClient, upstream: Upstream, module: Any) -> None:
    """Inside the origin redirects are followed with the token, a 401 on the way is ours, and no request shows it.

    One that is not followed may be followed later.
    """
    upstream.answers["/old/"] = Answer(302, b"", {"Location": "/orders/"})
    with module.Client(auth=UpstreamAuth("up"), follow_redirects=True) as calling:
        response = calling.get(f"{upstream.url}old/")
        assert response.json()["token"] == "access-1"
        upstream.expire()
        response = calling.get(f"{upstream.url}old/")
        assert response.json()["token"] == "access-2"
        left = calling.get(f"{upstream.url}old/", follow_redirects=False).next_request
        assert "Authorization" not in left.headers
        assert calling.send(left).json()["token"] == "access-2"
    assert {hop.request.headers.get("Authorization") for hop in (*response.history, response)} == {None}


def test_error_of_httpx(client: UpstreamClient, upstream: Upstream) -> None:
    """The request that an error of httpx names has lost its token by the time that the caller gets it."""
    with httpx2.Client(auth=UpstreamAuth("up"), trust_env=False) as calling:
        upstream.answers["/orders/"] = hang_up
        with pytest.raises(httpx2.TransportError) as caught:
            calling.post(f"{upstream.url}orders/")
    assert upstream.seen[0].token == "access-1"
    assert "Authorization" not in caught.value.request.headers


def test_request_hooks(client: UpstreamClient, upstream: Upstream) -> None:
    """Documented: event hooks for requests see the token of an ``auth=``."""
    seen: list[Any] = []
    hooks = {"request": [lambda request: seen.append(request.headers.get("Authorization"))]}
    with httpx2.Client(auth=UpstreamAuth("up"), event_hooks=hooks) as calling:
        calling.get(f"{upstream.url}orders/")
    assert seen == ["Bearer access-1"]
