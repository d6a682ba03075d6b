"""Where the token goes: to the configured origin and nowhere else, whatever a URL or a redirect looks like."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme

from jwt_upstream.backends import make_backend
from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import ForeignOrigin, UpstreamNotConfigured
from jwt_upstream.models import Credential
from tests.support.proxy import Proxy
from tests.support.upstream import Answer, Seen, Upstream


@pytest.fixture
def proxy(client: UpstreamClient, upstream: Upstream, settings: Any) -> Iterator[Proxy]:
    """A proxy that makes every host the upstream; "up" is at http://api.x/ now, its API below /v1/."""
    with Proxy(upstream.url) as proxy:
        options = settings.JWT_UPSTREAM["up"]["OPTIONS"]
        settings.JWT_UPSTREAM["up"]["BASE_URL"] = "http://api.x/v1/"
        options |= {"proxies": {"http": proxy.url, "https": proxy.url}, "refresh_path": "/refresh"}
        yield proxy


def tokens(upstream: Upstream) -> list[tuple[str, str]]:
    """What was asked for, and with what token; forgotten then."""
    seen = [(seen.path, seen.token) for seen in upstream.seen]
    upstream.seen.clear()
    return seen


OWN = {
    "orders/": "http://api.x/v1/orders/",
    "orders/?a=1#b": "http://api.x/v1/orders/?a=1",
    "./orders/": "http://api.x/v1/orders/",
    "": "http://api.x/v1/",
    "/orders/": "http://api.x/orders/",
    "../orders/": "http://api.x/orders/",
    "../../../orders/": "http://api.x/orders/",
    "//api.x/orders/": "http://api.x/orders/",
    "http://api.x/orders/": "http://api.x/orders/",
    "http://api.x:80/orders/": "http://api.x:80/orders/",
    "http://api.x:/orders/": "http://api.x/orders/",
    "HTTP://API.X/orders/": "http://api.x/orders/",
    "http://api.x": "http://api.x/",
    "http:orders/": "http://api.x/v1/orders/",
    # What would be another host to a browser, or is one after the path has begun.
    "\\\\evil.net\\x": "http://api.x/v1/%5C%5Cevil.net%5Cx",
    "///evil.net/": "http://api.x/evil.net/",
    "http:\\\\evil.net/": "http://api.x/v1/%5C%5Cevil.net/",
    "/\\evil.net/": "http://api.x/%5Cevil.net/",
    "http://api.x/\\@evil.net/": "http://api.x/%5C@evil.net/",
    "http://api.x?@evil.net/": "http://api.x/?@evil.net/",
    "http://api.x/@evil.net/": "http://api.x/@evil.net/",
    "%2F%2Fevil.net/": "http://api.x/v1/%2F%2Fevil.net/",
    "a%00b\x00c": "http://api.x/v1/a%00b%00c",
    "or\r\nders/\t": "http://api.x/v1/orders/",
    "naïve/€": "http://api.x/v1/na%C3%AFve/%E2%82%AC",
}


def test_own_origin(proxy: Proxy, upstream: Upstream) -> None:
    """Paths are joined as a browser would, and whatever stays at the origin is sent with the token."""
    client = UpstreamClient("up")
    for given, sent in OWN.items():
        client.get(given)
        assert tokens(upstream) == [(sent, "access-1")], given


FOREIGN = [
    "http://evil.net/",
    "//evil.net/",
    "http://api.x.evil.net/v1/",
    "http://api.xy/",
    "http://api.x./",
    "http://sub.api.x/",
    "http://api.x:8080/",
    "http://api.x:443/",
    "https://api.x/",
    "https://api.x:80/",
    "ftp://api.x/",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "http://user:secret@api.x/",
    "http://user@api.x/",
    "//user@api.x/",
    "http://api.x@evil.net/",
    "http://api.x:80@evil.net/",
    "http://api.x\\@evil.net/",
    "http://evil.net\\@api.x/",
    "http://evil.net#@api.x/",
    "http://evil.net?@api.x/",
    "http://api.x%2eevil.net/",
    "http://api.x%00.evil.net/",
    "http://api.x%2f@evil.net/",
    "http://api.x\x00.evil.net/",
    "\x01//evil.net/",
    " //evil.net/",
    "\t//evil.net/",
    "/\n/evil.net/",
    "ht\ntp://evil.net/",
    "http://api．x.evil.net/",
    "http://api.x\u2044evil.net/",
    "http://аpi.x/",  # a Cyrillic letter
    "http://api.x:99999/",
    "http://api.x:8o/",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1/",
]


def test_foreign_origin(proxy: Proxy, upstream: Upstream) -> None:
    """Whatever leads elsewhere, or to no host, is refused before anything is sent."""
    client = UpstreamClient("up")
    for url in FOREIGN:
        with pytest.raises((ForeignOrigin, requests.exceptions.InvalidURL)):
            pytest.fail(f"{url!r} was sent: {client.get(url)}, {tokens(upstream)}")
    assert (proxy.seen, upstream.seen) == ([], [])


def test_url_of_two_readings(client: UpstreamClient, upstream: Upstream) -> None:
    """To urllib3 the host ends at a backslash, to urllib, by which requests connects, it goes on."""
    with Upstream() as foreign:
        own, other = (server.url.removeprefix("http://").strip("/") for server in (upstream, foreign))
        request = requests.Request("GET", upstream.url).prepare()
        for request.url in (f"http://{own}\\@{other}/", f"http://{other}\\@{own}/", f"http://{own}@{other}/"):
            with pytest.raises(ForeignOrigin):
                client.send(request)
        assert foreign.seen == upstream.seen == []


def test_host_that_is_not_ascii(proxy: Proxy, upstream: Upstream, settings: Any) -> None:
    """A name with other letters is one origin in both of its spellings, and no look-alike is it."""
    settings.JWT_UPSTREAM["up"]["BASE_URL"] = "http://bücher.example/v1/"
    client = UpstreamClient("up")
    own = "orders/", "http://bücher.example/", "http://BÜCHER.example/", "http://xn--bcher-kva.example:80/"
    for url in own:
        assert client.get(url).status_code == 200
        assert [token for _, token in tokens(upstream)] == ["access-1"]
    for url in (
        "http://bucher.example/",
        "http://xn--bcher-kva.example.evil.net/",
        "http://bücher。example.evil.net/",
    ):
        with pytest.raises((ForeignOrigin, requests.exceptions.InvalidURL)):
            client.get(url)
    assert upstream.seen == []


def test_ipv6(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """An address of IPv6 is an origin as well."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listening:
        port = listening.getsockname()[1]
        settings.JWT_UPSTREAM["up"]["BASE_URL"] = f"http://[::1]:{port}/"
        client = UpstreamClient("up")
        for url in (
            f"http://[::1]:{port + 1}/",
            f"http://[::1]:{port}.evil.net/",
            f"http://[::2]:{port}/",
            "http://[::1]/",
        ):
            with pytest.raises((ForeignOrigin, requests.exceptions.InvalidURL)):
                client.get(url)
        for url in ("orders/", f"http://[::1]:{port}/orders/"):
            seen: list[bytes] = []
            thread = threading.Thread(target=answer_once, args=(listening, seen))
            thread.start()
            assert client.get(url).status_code == 200
            thread.join()
            assert b"Authorization: Bearer access-1\r\n" in seen[0]


def answer_once(listening: socket.socket, seen: list[bytes]) -> None:
    connection, _ = listening.accept()
    with connection:
        seen.append(connection.recv(65536))
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")


def test_base_url_of_two_readings() -> None:
    """Settings can't name an origin that two parts of the same call would read differently."""
    with pytest.raises(UpstreamNotConfigured, match="BASE_URL"):
        make_backend("up", {"BASE_URL": "http://api.x\\@evil.net/"})


# -- redirects

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
        assert [token for _, token in tokens(upstream)] == ["access-1", "access-1"], location
        assert (response.url.lower(), response.request.method) == (target.lower(), "POST" if status > 303 else "GET")


@pytest.mark.parametrize("status", [302, 307])
def test_redirect_to_another_origin(proxy: Proxy, upstream: Upstream, status: int) -> None:
    """A redirect to another origin is followed without the token; its 401 is the caller's, and costs no refresh."""
    client = UpstreamClient("up")
    for location in OTHER_ORIGINS:
        upstream.answers["http://api.x/old/"] = Answer(status, b"", {"Location": location})
        with suppress(requests.exceptions.InvalidURL):  # no host of such a name can be
            assert client.post("/old/", data=b"body").status_code == 401, location
        (_, first), *others = tokens(upstream)
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
    assert [token for _, token in tokens(upstream)] == ["access-1", "", ""]
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
