"""Headers of the caller's own: those that carry the token, and those that are the connection's business."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests
from requests.auth import HTTPDigestAuth
from requests.exceptions import InvalidHeader

from jwt_upstream.client import UpstreamClient
from tests.support.upstream import Answer, Upstream

OURS = {"Authorization": "Bearer {access}", "X-Api-Key": "s3cret"}


@pytest.fixture
def api_headers(client: UpstreamClient, settings: Any) -> None:
    """An upstream that is sent two headers of ours."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["api_headers"] = OURS


SPELLINGS: list[Any] = [
    "Authorization",
    "authorization",
    "AUTHORIZATION ",
    "x-api-key",
    "X-API-Key\t",
    b"X-Api-Key",
    "X_Api-Key",
]


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
        headers = [(title.strip().lower().replace("_", "-"), text) for title, text in seen.headers.items()]
        assert [text for title, text in headers if title == "x-api-key"] == ["s3cret"]
        assert len([title for title, _ in headers if title == "authorization"]) == 1
        assert ("x-other", "theirs") in headers
    assert second.token == "access-2"


@pytest.mark.parametrize("name", ["Host", "host ", "Content-Length", "TRANSFER-ENCODING", b"Host", "content_length"])
def test_headers_of_the_connection(client: UpstreamClient, upstream: Upstream, name: Any) -> None:
    """A caller may not say where the body ends, nor which host is meant, by the call or for all calls."""
    with pytest.raises(InvalidHeader, match="remove yours"):
        client.post("orders/", data=b"body", headers={name: "5"})
    client.headers[name] = "5"
    with pytest.raises(InvalidHeader, match="remove yours"):
        client.post("orders/", data=b"body")
    assert upstream.seen == []


@pytest.mark.parametrize("name", ["Content-Length", "content-length ", b"Content-Length"])
def test_length_that_is_right(client: UpstreamClient, upstream: Upstream, tmp_path: Path, name: Any) -> None:
    """An SDK may say how long the body is, if that is so: it is what requests sends in any case."""
    (tmp_path / "body").write_bytes(b"body")
    with (tmp_path / "body").open("rb") as file:
        for body, said in ((b"body", "4"), ("body", b"4"), (file, "4"), ({"a": "b"}, "3"), (None, "0")):
            assert client.post("orders/", data=body, headers={name: said, "X-Mine": "1"}).status_code == 200
            assert upstream.seen[-1].headers.get_all("Content-Length") == [str(len(upstream.seen[-1].body))]  # type: ignore[attr-defined]
            assert upstream.seen[-1].headers["X-Mine"] == "1"
    assert client.get("orders/", headers={name: "0"}).status_code == 200
    with pytest.raises(InvalidHeader, match="the body has another one"):
        client.post("orders/", data=iter([b"body"]), headers={name: "4"})


def chunks() -> Any:
    yield b"body"


#: A header that is set last, and a body.
LAST: list[tuple[Any, Any, Any]] = [
    ("Host", "evil.example.com", b"body"),
    ("host ", "evil.example.com", b"body"),
    ("Transfer-Encoding", "chunked", b"body"),
    ("Transfer_Encoding", "chunked", None),
    ("Transfer-Encoding", "identity", chunks()),
    ("Content-Length", "2", b"body"),
    ("Content-Length", "0", chunks()),
    ("Content_Length", "4", b"body"),
    (b"Content-Length", "4", b"body"),
]


@pytest.mark.parametrize(("name", "value", "body"), LAST)
def test_header_that_is_set_last(client: UpstreamClient, upstream: Upstream, name: Any, value: str, body: Any) -> None:
    """A request that was prepared elsewhere says nothing else of host and body than requests has found out."""
    prepared = requests.Request("POST", f"{upstream.url}orders/", data=body).prepare()
    assert client.send(prepared.copy() if body is None else prepared).status_code == 200
    prepared.headers[name] = value
    with pytest.raises(InvalidHeader, match="remove yours"):
        client.send(prepared)
    assert len(upstream.seen) == 1


def test_auth_of_the_caller(client: UpstreamClient, upstream: Upstream) -> None:
    """An ``auth=`` may set neither the host nor how the body is sent."""
    for mine in ({"Transfer-Encoding": "chunked"}, {"Host": "evil.example.com"}):

        def auth(request: requests.PreparedRequest, mine: Any = mine) -> requests.PreparedRequest:
            request.headers.update(mine)
            return request

        with pytest.raises(InvalidHeader, match="remove yours"):
            client.post("orders/", data=b"body", auth=auth)
    assert upstream.seen == []


def test_digest(client: UpstreamClient, upstream: Upstream) -> None:
    """An ``auth=`` that answers a 401 itself, by a header of its own, is refused before the first call is sent."""
    challenge = {"WWW-Authenticate": 'Digest realm="a", nonce="b", qop="auth"'}
    upstream.answers["/orders/"] = Answer(401, {}, challenge)
    url, digest = f"{upstream.url}orders/", HTTPDigestAuth("user", "password")
    with pytest.raises(InvalidHeader, match="HTTPDigestAuth"):
        client.get("orders/", auth=digest)
    with pytest.raises(InvalidHeader, match="HTTPDigestAuth"):
        client.send(requests.Request("GET", url, auth=digest).prepare())
    assert upstream.seen == []


def test_headers_that_are_none(client: UpstreamClient, upstream: Upstream) -> None:
    """None, by which requests leaves a default header out, collides with nothing."""
    assert client.get("orders/", headers={"Accept": None})  # type: ignore[dict-item]  # as requests documents.status_code == 200
