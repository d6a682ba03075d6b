"""Redirects: followed with the token inside the origin, and without it from the moment they leave."""

from __future__ import annotations

import itertools
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme

from jwt_upstream.client import UpstreamClient
from jwt_upstream.models import Credential
from tests.support.proxy import Proxy
from tests.support.raw_server import Behaviour, RawServer, say
from tests.support.rows import unbind
from tests.support.upstream import Answer, Seen, Upstream

SAME_ORIGIN = {
    "/orders/": "http://api.x/orders/",
    "orders/": "http://api.x/old/orders/",
    "../orders/": "http://api.x/orders/",
    "//api.x/orders/": "http://api.x/orders/",
    "http://api.x/orders/": "http://api.x/orders/",
    "HTTP://API.X:80/orders/": "http://api.x:80/orders/",
    "/\\evil.net/": "http://api.x/%5Cevil.net/",
}
OTHER_ORIGINS = [
    "http://evil.net/",
    "//evil.net/",
    "http://api.x.evil.net/",
    "http://sub.api.x/",
    "http://api.x:8080/",
    "http://api.x./",
    "http://api.x@evil.net/",
    "http://user:secret@api.x/",
    "http://api.x:80\\@evil.net/",
    "http://api.x%2eevil.net/",
]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_inside_the_origin(proxy: Proxy, upstream: Upstream, status: int) -> None:
    """A redirect inside the origin is followed with the token, whatever its kind."""
    client = UpstreamClient("up")
    for location, target in SAME_ORIGIN.items():
        upstream.answers["http://api.x/old/"] = Answer(status, b"", {"Location": location})
        response = client.post("/old/", data=b"body")
        assert [token for _, token in upstream.pop_tokens()] == ["access-1", "access-1"], location
        assert (response.url.lower(), response.request.method) == (target.lower(), "POST" if status > 303 else "GET")


@pytest.mark.parametrize("status", [302, 307])
def test_redirect_to_another_origin(proxy: Proxy, upstream: Upstream, status: int) -> None:
    """A redirect to another origin is followed without the token; its 401 is the caller's, and costs no refresh."""
    client = UpstreamClient("up")
    for location in OTHER_ORIGINS:
        upstream.answers["http://api.x/old/"] = Answer(status, b"", {"Location": location})
        with suppress(requests.exceptions.InvalidURL):  # no host of such a name can be
            assert client.post("/old/", data=b"body").status_code == 401, location
        (_, first), *others = upstream.pop_tokens()
        assert (first, {token for _, token in others}) == ("access-1", {""} if others else set()), location
    assert upstream.refreshes == 0
    assert Credential.objects.get().state == "active"


def test_401_of_another_origin(proxy: Proxy, upstream: Upstream) -> None:
    """The words for a locked account mean nothing in a 401 of another origin."""
    upstream.answers["http://api.x/old/"] = Answer(302, b"", {"Location": "http://evil.net/"})
    upstream.answers["http://evil.net/"] = Answer(401, {"code": 401, "message": "Account is disabled."})
    assert UpstreamClient("up").get("/old/").status_code == 401
    assert Credential.objects.get().state == "active"
    assert [seen.path for seen in upstream.seen] == ["http://api.x/old/", "http://evil.net/"]


def test_way_back_into_the_origin(proxy: Proxy, upstream: Upstream) -> None:
    """A redirect from another origin back into ours, which may have chosen where to, is followed without the token."""
    upstream.answers["http://api.x/old/"] = Answer(302, b"", {"Location": "http://evil.net/"})
    upstream.answers["http://evil.net/"] = Answer(302, b"", {"Location": "http://api.x/v1/orders/"})
    response = UpstreamClient("up").get("/old/")
    assert [token for _, token in upstream.pop_tokens()] == ["access-1", "", ""]
    assert [past.status_code for past in response.history] == [302, 302]


def test_redirect_after_a_refresh(proxy: Proxy, upstream: Upstream) -> None:
    """The next hop has the new token, and one that leads away has neither."""
    upstream.expire()
    for location, token in {"/orders/": "access-2", "http://evil.net/": ""}.items():
        upstream.answers["http://api.x/old/"] = redirect_if_good(upstream, location)
        UpstreamClient("up").get("/old/")
        assert upstream.seen[-1].token == token
    assert [seen.token for seen in upstream.calls("http://api.x/old/")] == ["access-1", "access-2", "access-2"]


def redirect_if_good(upstream: Upstream, location: str) -> Any:
    def answer(seen: Seen) -> Answer | None:
        return Answer(302, b"", {"Location": location}) if seen.token in upstream.access else None

    return answer


def test_other_secret_headers(proxy: Proxy, upstream: Upstream, settings: Any) -> None:
    """Whatever the backend adds to a call is for the origin only, an API key beside the token too."""
    headers = {"Authorization": "Bearer {access}", "X-Token": "{access}", "apikey": "s3cret"}
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["api_headers"] = headers
    upstream.expire()
    upstream.answers["http://api.x/old/"] = redirect_if_good(upstream, "http://evil.net/")
    response = UpstreamClient("up").get("/old/")
    first, again, foreign = (seen for seen in upstream.seen if seen.route != "/refresh")
    assert (first.headers["X-Token"], again.headers["X-Token"]) == ("access-1", "access-2")
    assert (again.headers["apikey"], foreign.headers["Host"]) == ("s3cret", "evil.net")
    assert not {"authorization", "x-token", "apikey"} & {name.lower() for name in foreign.headers}
    for answer in [*response.history, response]:
        assert not {"Authorization", "X-Token", "apikey"} & answer.request.headers.keys()


def test_downgrade_of_the_scheme(proxy: Proxy, upstream: Upstream, settings: Any, tmp_path: Path) -> None:
    """From https to http of the same host the token doesn't go, which could be read on the way."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("api.x").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    with Upstream(context) as secure, Proxy(upstream.url, secure.url) as proxy:
        secure.access = upstream.access
        proxies = {"http": proxy.url, "https": proxy.url}
        settings.JWT_UPSTREAM["up"]["BASE_URL"] = "https://api.x/"
        settings.JWT_UPSTREAM["up"]["OPTIONS"] |= {"proxies": proxies, "verify": str(tmp_path / "authority.pem")}
        for location, token in {"/orders/": "access-1", "https://api.x:443/": "access-1", "http://api.x/": ""}.items():
            secure.answers["/old/"] = Answer(302, b"", {"Location": location})
            UpstreamClient("up").get("old/")
            assert [*secure.seen, *upstream.seen][-1].token == token
        assert [seen.path for seen in upstream.seen] == ["http://api.x/"]
        assert proxy.seen == ["api.x:443", "http://api.x/"]


def redirect(to: str, status: int = 302) -> Answer:
    return Answer(status, b"", {"Location": to})


def test_redirect_with_the_current_token(client: UpstreamClient, upstream: Upstream) -> None:
    """A redirect inside the origin is followed with the current token, also after a refresh."""
    upstream.expire()
    upstream.answers["/old/"] = lambda seen: redirect("/orders/") if seen.token in upstream.access else None
    response = client.get("old/")
    assert response.json() == {"path": "/orders/", "token": "access-2"}
    assert [past.status_code for past in response.history] == [401, 302]
    assert client.get("old/", allow_redirects=False).status_code == 302


def test_refresh_on_the_way(client: UpstreamClient, upstream: Upstream) -> None:
    """The token may expire between two hops of a redirect."""

    def answer(_: Seen) -> Answer:
        upstream.expire()
        return redirect("/orders/", 307)

    upstream.answers["/old/"] = answer
    response = client.post("old/", data=b"body")
    assert [past.status_code for past in response.history] == [307, 401]
    assert upstream.calls("/orders/")[-1].body == b"body"


def test_redirect_that_is_not_followed(client: UpstreamClient, upstream: Upstream) -> None:
    """``response.next`` is the request that would follow; it holds no secret, and can be sent by the client only."""
    upstream.expire()
    upstream.answers["/old/"] = lambda seen: (
        Answer(307, b"", {"Location": "/orders/"}) if seen.token in upstream.access else None
    )
    response = client.post("old/", data=b"body", allow_redirects=False)
    assert (response.status_code, response.is_redirect, response.history[0].status_code) == (307, True, 401)
    assert response.next is not None
    assert "Authorization" not in response.next.headers
    assert client.send(response.next).json()["token"] == "access-2"
    response = client.post("old/", data=iter([b"body"]), allow_redirects=False)
    assert (response.status_code, response.next) == (307, None)
    assert client.head("old/").status_code == 307


def test_next_hop_at_another_origin(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """The request of a hop that leads to another origin holds no header of the backend's, sent by whomever."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["api_headers"] = {"Authorization": "Bearer {access}", "apikey": "s3cret"}
    with Upstream() as foreign, requests.Session() as session:
        upstream.answers["/old/"] = Answer(302, b"", {"Location": f"{foreign.url}x"})
        response = client.get("old/", allow_redirects=False)
        assert response.next is not None
        client.send(response.next)
        session.send(response.next)
    for seen in foreign.seen:
        assert not {"authorization", "apikey"} & {name.lower() for name in seen.headers}
    assert len(foreign.seen) == 2


def redirecting(pieces: Iterator[bytes], pause: float = 0.0) -> Behaviour:
    """Answer with a redirect that goes on with these pieces, and then, on other connections, with "there"."""
    last = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nthere"
    first = itertools.chain([b"HTTP/1.1 302 No\r\nLocation: /b\r\n\r\n"], pieces)
    behaviours = itertools.chain([trickle(first, pause)], itertools.repeat(say(last)))
    return lambda connection: next(behaviours)(connection)


def trickle(pieces: Iterator[bytes], pause: float) -> Behaviour:
    """Send pieces, maybe without an end, with a pause after each."""

    def behave(connection: socket.socket) -> None:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause)

    return behave


@pytest.mark.parametrize(("pause", "stream"), [(0.0, False), (0.0, True), (0.05, False)])
def test_endless_redirect(client: UpstreamClient, settings: Any, pause: float, stream: bool) -> None:
    """The body of a redirect that has no end, be it fast or slow, is cut, and the redirect followed."""
    piece = b"x" if pause else b"x" * 65536
    with RawServer(redirecting(itertools.repeat(piece), pause)) as server:
        settings.JWT_UPSTREAM["up"]["BASE_URL"] = server.url
        unbind()
        response = client.get("a", stream=stream)
        assert (response.content, response.history[0].status_code) == (b"there", 302)
        assert 0 < len(response.history[0].content) <= 65536


def test_endless_redirect_that_is_not_followed(client: UpstreamClient, settings: Any) -> None:
    """Whoever streams a redirect without following it gets it before its body, then the body, and the next request."""
    with RawServer(redirecting(iter([b"x" * 40_000] * 3), 0.01)) as server:
        settings.JWT_UPSTREAM["up"]["BASE_URL"] = server.url
        unbind()
        response = client.get("a", stream=True, allow_redirects=False)
        assert response._content_consumed is False
        assert response.next is not None
        assert response.next.url == f"{server.url}b"
        assert response.content == b"x" * 120_000


def test_connection_of_a_redirect(client: UpstreamClient, upstream: Upstream) -> None:
    """The connection of a redirect serves the request that it leads to."""
    upstream.answers["/old/"] = Answer(302, b"Over there", {"Location": "/orders/"})
    client.get("orders/")
    before = upstream.connections
    response = client.get("old/")
    assert (response.status_code, response.history[0].text, upstream.connections) == (200, "Over there", before)


INTERIM = [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"]


@pytest.mark.parametrize("interim", INTERIM)
def test_interim_answers(client: UpstreamClient, settings: Any, interim: bytes) -> None:
    """Answers that only announce the answer are skipped, unless they have no end."""
    final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK"
    with RawServer(say(interim * 3, final)) as server:
        settings.JWT_UPSTREAM["up"]["BASE_URL"] = server.url
        unbind()
        assert client.get("a").text == "OK"
    with RawServer(lambda connection: say(*itertools.repeat(interim, 100_000))(connection)) as server:
        settings.JWT_UPSTREAM["up"]["BASE_URL"] = server.url
        unbind()
        with pytest.raises(requests.ConnectionError, match="more than 50 interim answers"):
            client.get("a")
