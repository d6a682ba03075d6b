"""Uploads: large ones, and servers that refuse the token before the body has come."""

from __future__ import annotations

import io
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme
from django.utils import timezone
from requests_toolbelt import MultipartEncoder, MultipartEncoderMonitor

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import BodyNotReplayable
from jwt_upstream.models import Credential
from tests.support import workers
from tests.support.raw_server import RawServer
from tests.support.rows import unbind
from tests.support.upstream import Answer, Upstream

LARGE = 8_000_000  # more than the buffers between two sockets hold
BODIES: dict[str, Callable[[], Any]] = {
    "bytes": lambda: b"x" * LARGE,
    "file": lambda: io.BytesIO(b"x" * LARGE),
}


def a_generator() -> Iterator[bytes]:
    return (b"x" * 10_000 for _ in range(LARGE // 10_000))


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """An authority that no one trusts who isn't told to."""
    return trustme.CA()


@pytest.fixture(params=["http", "https"])
def hasty(
    request: Any, client: UpstreamClient, upstream: Upstream, authority: trustme.CA, settings: Any, tmp_path: Path
) -> Iterator[Upstream]:
    """An upstream that refuses a bad token before the body has come and hangs up; the stored token is bad."""
    context = None
    if request.param == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
        settings.JWT_UPSTREAM["up"]["OPTIONS"]["verify"] = str(tmp_path / "authority.pem")
    with Upstream(context) as hasty:
        settings.JWT_UPSTREAM["up"]["BASE_URL"] = hasty.url
        unbind()
        hasty.hangs_up = hasty.digests = True
        hasty.issue()
        hasty.expire()
        Credential.objects.update(refresh_token=hasty.refresh)
        yield hasty


@pytest.mark.parametrize("kind", BODIES)
def test_refused_during_the_upload(hasty: Upstream, kind: str) -> None:
    """The 401 is read although the connection broke while the body was sent, and the same body is sent again."""
    response = UpstreamClient("up").post("orders/", data=BODIES[kind]())
    assert (response.status_code, [past.status_code for past in response.history]) == (200, [401])
    assert [seen.path for seen in hasty.seen] == ["/orders/", "/refresh", "/orders/"]
    assert hasty.seen[-1].body == f"{LARGE} {sha256(b'x' * LARGE).hexdigest()}".encode()


def test_refused_during_an_upload_that_cannot_be_repeated(hasty: Upstream) -> None:
    """The token is fresh after it, so that the caller's own second try works."""
    client = UpstreamClient("up")
    with pytest.raises(BodyNotReplayable) as caught:
        client.post("orders/", data=a_generator())
    assert caught.value.response is not None
    assert caught.value.response.status_code == 401
    assert len(hasty.calls("/orders/")) == 1
    assert client.post("orders/", data=a_generator()).status_code == 200


def test_expect_continue(hasty: Upstream) -> None:
    """``Expect: 100-continue`` answered by 401 is a 401; by 100 it is no answer yet."""
    response = UpstreamClient("up").put("orders/", data=b"x" * LARGE, headers={"Expect": "100-continue"})
    assert (response.status_code, [past.status_code for past in response.history]) == (200, [401])
    assert [seen.headers["Expect"] for seen in hasty.calls("/orders/")] == ["100-continue"] * 2
    assert hasty.seen[-1].body.startswith(b"8000000 ")


def test_refused_by_a_server_that_reads_on(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """A server may also answer at once, and read what still comes before it closes its side."""

    def refuse(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            time.sleep(0.001)

    with RawServer(refuse, whole=False) as server:
        settings.JWT_UPSTREAM["up"]["BASE_URL"] = server.url
        settings.JWT_UPSTREAM["up"]["OPTIONS"]["refresh_path"] = f"{upstream.url}refresh"
        unbind()
        assert client.post("orders/", data=b"x" * LARGE).status_code == 401
    assert (len(server.received), upstream.refreshes) == (2, 1)


def test_hung_up_without_a_word(client: UpstreamClient, settings: Any) -> None:
    """A connection that is closed without an answer is an error of the network: nothing is refreshed or resent."""
    with RawServer(lambda _: None, whole=False) as server:
        settings.JWT_UPSTREAM["up"]["BASE_URL"] = server.url
        unbind()
        with pytest.raises(requests.ConnectionError):
            client.post("orders/", data=b"x" * LARGE)
    assert len(server.received) == 1
    assert Credential.objects.get().state == "active"


def test_token_replaced_by_another_host(client: UpstreamClient, upstream: Upstream) -> None:
    """For a body that can be sent only once the client looks at the row, rather than go on with what it has cached."""
    client.get("orders/")
    pair = upstream.issue()
    Credential.objects.update(access_token=pair["access"], refresh_token=pair["refresh"])
    assert client.post("orders/", data=a_generator()).status_code == 200
    assert upstream.refreshes == 0


def test_multipart_encoder(client: UpstreamClient, upstream: Upstream) -> None:
    """requests-toolbelt streams a form; a token whose expiry is known is replaced before it is sent."""
    Credential.objects.update(access_expires_at=timezone.now())
    upstream.expire()
    read: list[int] = []
    encoder = MultipartEncoder({"name": "x", "file": ("a.txt", io.BytesIO(b"x" * 100_000), "text/plain")})
    form = MultipartEncoderMonitor(encoder, lambda monitor: read.append(monitor.bytes_read))
    response = client.post("orders/", data=form, headers={"Content-Type": form.content_type})
    assert (response.status_code, response.history) == (200, [])
    assert read[-1] == encoder.len
    (seen,) = upstream.calls("/orders/")
    assert len(seen.body) == int(seen.headers["Content-Length"]) == encoder.len
    assert encoder.boundary_value in seen.headers["Content-Type"]


def test_redirect_of_a_body_that_cannot_be_repeated(client: UpstreamClient, upstream: Upstream) -> None:
    """A redirect that wants the body again gets no empty one in its place; plain requests sends it."""
    upstream.answers["/old/"] = Answer(307, b"", {"Location": "/orders/"})
    with pytest.raises(requests.exceptions.UnrewindableBodyError):
        client.post("old/", data=a_generator())
    assert upstream.calls("/orders/") == []


@pytest.mark.slow
def test_memory(client: UpstreamClient, upstream: Upstream, tmp_path: Path) -> None:
    """A file of 200 MB, sent twice, and as much of a generator's, take no more memory than small bodies."""
    upstream.digests = True
    upstream.expire()
    upstream.answers["/small/"] = Answer(200)
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(200_000_000)
    result = workers.together(workers.start("upload", path=str(path), pieces=200))[0]
    assert result["statuses"] == [200, 200]
    assert result["grown"] < 20
    assert {seen.body.partition(b" ")[0] for seen in upstream.calls("/file/")} == {b"200000000"}
    assert len({seen.body for seen in upstream.calls("/file/")}) == 1
    assert len(upstream.calls("/file/")) == 2
