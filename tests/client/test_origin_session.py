"""Where the token goes: to the configured origin and nowhere else, whatever a URL looks like."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Callable
from functools import wraps
from http.cookiejar import CookieJar
from typing import Any, cast
from urllib.parse import urljoin

import pytest
import requests
import wrapt
from hypothesis import example, given
from hypothesis import settings as explored
from hypothesis import strategies as st
from requests import PreparedRequest, Request, Session
from requests.adapters import HTTPAdapter

from jwt_upstream.backends import make_backend
from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import ForeignOrigin, UpstreamNotConfigured
from tests.support.proxy import Proxy
from tests.support.rows import unbind
from tests.support.upstream import Answer, Upstream

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
    for path, sent in OWN.items():
        client.get(path)
        assert upstream.pop_tokens() == [(sent, "access-1")], path


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
            pytest.fail(f"{url!r} was sent: {client.get(url)}, {upstream.pop_tokens()}")
    assert (proxy.seen, upstream.seen) == ([], [])


@pytest.mark.parametrize(
    "path", ["/", "../", "%2e%2e/orders", "..%2Forders", "..;/orders", "a\\..\\..\\x", "/v1/../x", "a/．．/..%20/x"]
)
def test_path_that_leaves_the_base_url(proxy: Proxy, upstream: Upstream, settings: Any, path: str) -> None:
    """With ``within_base_url`` nothing is sent to a path that is not below BASE_URL, however it is spelt."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["within_base_url"] = True
    client = UpstreamClient("up")
    with pytest.raises(ForeignOrigin, match="below BASE_URL"):
        client.get(path)
    request = requests.Request("GET", "http://api.x/v1/").prepare()
    request.url = "http://api.x/v1/%2e%2e/orders"
    with pytest.raises(ForeignOrigin, match="below BASE_URL"):
        client.send(request)
    assert (proxy.seen, upstream.seen) == ([], [])
    assert client.get("orders/a/../b").status_code == 200


def test_redirect_that_leaves_the_base_url(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """With ``within_base_url`` a redirect to another path of the host is followed without the token."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["within_base_url"] = True
    settings.JWT_UPSTREAM["up"]["BASE_URL"] += "v1/"
    upstream.answers["/v1/old/"] = Answer(302, b"", {"Location": "/other/"})
    assert UpstreamClient("up").get("old/").status_code == 401
    assert [(seen.path, seen.token) for seen in upstream.seen] == [("/v1/old/", "access-1"), ("/other/", "")]


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
        assert [token for _, token in upstream.pop_tokens()] == ["access-1"]
    for url in (
        "http://bucher.example/",
        "http://xn--bcher-kva.example.evil.net/",
        "http://bücher。example.evil.net/",
    ):
        with pytest.raises((ForeignOrigin, requests.exceptions.InvalidURL)):
            client.get(url)
    assert upstream.seen == []


def test_ipv6(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """An IPv6 address is an origin like any other."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listening:
        port = listening.getsockname()[1]
        settings.JWT_UPSTREAM["up"]["BASE_URL"] = f"http://[::1]:{port}/"
        unbind()
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


# -- as a session does


URL = "https://crm.example.com/api/"


def facts(prepared: PreparedRequest) -> Any:
    """What is sent of a prepared request, and what is done with its answer."""
    assert prepared._cookies is not None
    cookies = [(cookie.name, cookie.value) for cookie in prepared._cookies]
    return prepared.method, prepared.url, dict(prepared.headers), prepared.body, cookies, prepared.hooks


def hook(response: requests.Response, **_: Any) -> None:
    """Do nothing."""


@pytest.mark.parametrize(
    "of_call",
    [
        {},
        {"params": {"a": [1, 2], "b": None}},
        {"params": "raw=1"},
        {"params": b"b=1"},
        {"json": {"a": 1}},
        {"data": {"a": "1"}, "cookies": {"mine": "1"}},
        {"data": io.BytesIO(b"stream"), "hooks": {"response": hook}},
    ],
)
@pytest.mark.parametrize(
    "of_session",
    [
        {},
        {"params": {"s": "1"}},
        {"headers": {"User-Agent": None, "X-Mine": "1"}},
        {"cookies": {"ours": "2"}},
        {"hooks": {"response": [hook]}},
    ],
)
@pytest.mark.parametrize("headers", [{}, {"X-Call": "1"}, {"Accept": None}])
def test_as_a_session_does(of_call: dict[str, Any], of_session: dict[str, Any], headers: dict[str, Any]) -> None:
    """What a request has and what a session has are merged alike; None takes a header or parameter away."""
    plain, client = Session(), UpstreamClient("crm")
    for session in (plain, client):
        for name, values in of_session.items():
            getattr(session, name).update(values)
    whole = Request("post", f"{URL}orders/", headers=headers, auth=lambda request: request, **of_call)
    prepared = client.prepare_request(Request("post", "orders/", headers=headers, **of_call))
    assert facts(prepared) == facts(plain.prepare_request(whole))


# With letters for all that a path may have, and with few others: those paths are simple.
@pytest.mark.parametrize("letters", ["ab1-._~/?=&", "a./?%7e:;#@\\ é"])
def test_any_path(settings: Any, letters: str) -> None:
    """A path is prepared as requests prepares the URL that it makes with BASE_URL, however that is written."""
    base_urls = [URL, "https://CRM.example.com/", "https://crm.example.com/a//b/../c/", "https://crm.example.com"]
    settings.JWT_UPSTREAM = {base_url: {"BASE_URL": base_url} for base_url in base_urls}
    clients, plain = [UpstreamClient(base_url) for base_url in base_urls], Session()

    @given(st.text(letters, max_size=10))
    @example("a?")
    @example("a?x=%7e")
    @example("a/%7e/")
    @example("a.::")
    @explored(deadline=None)
    def check(path: str) -> None:
        for client in clients:
            whole = Request("GET", urljoin(client.backend.base_url, path))
            refusals = (
                (ForeignOrigin,)
                if str(whole.url).startswith("http")
                else (ForeignOrigin, requests.exceptions.InvalidURL)
            )
            assert outcome(client, Request("GET", path)) in (outcome(plain, whole), *refusals)

    check()


def outcome(session: Session, request: Request) -> Any:
    """The URL that a session makes of a request, or the class of the error."""
    try:
        return session.prepare_request(request).url
    except requests.RequestException as error:
        return type(error)


def by_wrapt(prepare: Any, add: Callable[[Request], None]) -> Any:
    """Wrap a method of a class as the AWS X-Ray SDK does."""

    def wrapper(wrapped: Any, _: Any, args: Any, kwargs: Any) -> Any:
        add(*args)
        return wrapped(*args, **kwargs)

    return wrapt.FunctionWrapper(prepare, wrapper)


def by_hand(prepare: Any, add: Callable[[Request], None]) -> Any:
    """Wrap it as most others do."""

    @wraps(prepare)
    def wrapper(session: Session, request: Request) -> Any:
        add(request)
        return prepare(session, request)

    return wrapper


@pytest.mark.parametrize("wrapped", [by_wrapt, by_hand])
def test_tracer(wrapped: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tracer that is put around requests' method for preparing requests sees those of a client, and adds to them."""

    def add(request: Request) -> None:
        cast(dict[str, str], request.headers)["X-Trace"] = "1"

    # A method is patched since that is what such tracers do.
    monkeypatch.setattr(Session, "prepare_request", wrapped(Session.prepare_request, add))
    request = Request("GET", "orders/")
    assert UpstreamClient("crm").prepare_request(request).headers["X-Trace"] == "1"


class Stamping(Session):
    """A session of somebody's that adds to each request."""

    def prepare_request(self, request: Request) -> PreparedRequest:
        prepared = super().prepare_request(request)
        prepared.headers["X-Stamp"] = "1"
        return prepared


class StampingClient(UpstreamClient, Stamping):
    """A client that is one of those too."""


def test_class_beside_the_client() -> None:
    """What another class of sessions adds when it prepares a request is added, if a client inherits from it too."""
    assert StampingClient("crm").prepare_request(Request("GET", "orders/")).headers["X-Stamp"] == "1"


def test_slashes_at_the_beginning() -> None:
    """A path that begins with two slashes is asked for as requests asks for it, whose versions differ in that."""
    client = UpstreamClient("crm")
    prepared = client.prepare_request(Request("GET", "https://crm.example.com//orders/"))
    ours, theirs = client.get_adapter(URL), HTTPAdapter()
    assert isinstance(ours, HTTPAdapter)
    assert ours.request_url(prepared, {}) == theirs.request_url(prepared, {})


def test_caller_keeps_its_request() -> None:
    """What a caller prepares is left as it was."""
    request = Request("GET", "orders/")
    UpstreamClient("crm").prepare_request(request)
    assert (request.url, request.headers, request.params) == ("orders/", {}, {})


def test_jar_of_another_kind_after_a_fork(client: UpstreamClient) -> None:
    """A client that was made before a fork goes on with whatever cookie jar its caller has given it."""
    client.cookies = CookieJar()  # type: ignore[assignment]  # requests takes any
    client._pid = 0
    assert client.get("orders/").status_code == 200
