"""Headers of the caller's own: those that carry the token, and those that are the connection's business."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from requests.exceptions import InvalidHeader

from jwt_upstream.client import UpstreamClient
from tests.support.upstream import Upstream

OURS = {"Authorization": "Bearer {access}", "X-Api-Key": "s3cret"}


@pytest.fixture
def api_headers(client: UpstreamClient, settings: Any) -> None:
    """An upstream that is sent two headers of ours."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["api_headers"] = OURS


SPELLINGS: list[Any] = ["Authorization", "authorization", "AUTHORIZATION ", "x-api-key", "X-API-Key\t", b"X-Api-Key"]


@pytest.mark.parametrize("name", SPELLINGS)
def test_token_of_the_caller(api_headers: None, upstream: Upstream, name: Any) -> None:
    """A caller's own header is refused where ``api_headers`` has the same, in any spelling, and nothing is sent."""
    client = UpstreamClient("up")
    with pytest.raises(InvalidHeader, match="remove yours"):
        client.get("orders/", headers={name: "mine"})
    client.headers[name] = "mine"
    with pytest.raises(InvalidHeader, match="remove yours"):
        client.get("orders/")
    assert upstream.seen == []


@pytest.mark.parametrize("name", SPELLINGS)
def test_token_of_the_caller_is_replaced(api_headers: None, upstream: Upstream, settings: Any, name: Any) -> None:
    """With ``caller_authorization="replace"`` an SDK may insist on a key of its own: the upstream sees ours alone."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["caller_authorization"] = "replace"
    upstream.expire()
    assert UpstreamClient("up").get("orders/", headers={name: "mine", "X-Other": "theirs"}).status_code == 200
    first, _, second = upstream.seen
    for seen in (first, second):
        headers = [(title.strip().lower(), text) for title, text in seen.headers.items()]
        assert [text for title, text in headers if title == "x-api-key"] == ["s3cret"]
        assert len([title for title, _ in headers if title == "authorization"]) == 1
        assert ("x-other", "theirs") in headers
    assert second.token == "access-2"


@pytest.mark.parametrize("name", ["Host", "host ", "Content-Length", "TRANSFER-ENCODING", b"Host"])
def test_headers_of_the_connection(client: UpstreamClient, upstream: Upstream, name: Any) -> None:
    """A caller may not say where the body ends, nor which host is meant, by the call or for all calls."""
    with pytest.raises(InvalidHeader, match="remove yours"):
        client.post("orders/", data=b"body", headers={name: "5"})
    client.headers[name] = "5"
    with pytest.raises(InvalidHeader, match="remove yours"):
        client.post("orders/", data=b"body")
    assert upstream.seen == []


def test_host_in_a_prepared_request(client: UpstreamClient, upstream: Upstream) -> None:
    """A request that was prepared elsewhere may have the length that requests found, but no host of its own."""
    prepared = requests.Request("POST", f"{upstream.url}orders/", data=b"body").prepare()
    assert client.send(prepared).status_code == 200
    prepared.headers["Host"] = "evil.example.com"
    with pytest.raises(InvalidHeader, match="Host"):
        client.send(prepared)


def test_headers_that_are_none(client: UpstreamClient, upstream: Upstream) -> None:
    """None, by which requests leaves a default header out, collides with nothing."""
    assert client.get("orders/", headers={"Accept": None})  # type: ignore[dict-item]  # as requests documents.status_code == 200
