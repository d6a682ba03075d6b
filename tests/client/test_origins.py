"""Further origins of the same upstream: calls to them have the token, and nothing else does."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from jwt_upstream.backends import Backend
from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import ForeignOrigin
from jwt_upstream.tokens import Secrets, TokenPair
from tests.support.proxy import Proxy
from tests.support.rows import unbind
from tests.support.upstream import Answer, Upstream

ORIGINS = ["http://files.x", "http://Api2.X:8080/"]


@pytest.fixture
def several(proxy: Proxy, settings: Any) -> UpstreamClient:
    """A client of "up", which is at http://api.x/v1/, and at ``ORIGINS`` as well."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["origins"] = ORIGINS
    unbind()
    return UpstreamClient("up")


@pytest.mark.parametrize("url", ["http://files.x/a/", "HTTP://FILES.X:80", "//files.x/b", "http://api2.x:8080/v2/c"])
def test_further_origin(several: UpstreamClient, upstream: Upstream, url: str) -> None:
    """A call to one is sent with the token, renewed on a 401; a path alone is joined to BASE_URL, as before."""
    upstream.expire()
    assert several.get(url).json()["token"] == "access-2"
    several.get("orders/")
    assert upstream.pop_tokens()[-1] == ("http://api.x/v1/orders/", "access-2")


@pytest.mark.parametrize(
    "url",
    [
        "https://files.x/",
        "http://files.x:8080/",
        "http://api2.x/",
        "http://api3.x/",
        "http://sub.files.x/",
        "http://files.x.evil.net/",
        "http://files.x@evil.net/",
        "http://user@files.x/",
        "http://files.x\\@evil.net/",
        "http://evil.net\\@files.x/",
    ],
)
def test_anything_else(several: UpstreamClient, upstream: Upstream, proxy: Proxy, url: str) -> None:
    """No other origin is called, however much it looks like one of them; nor is a request that was changed later."""
    with pytest.raises(ForeignOrigin, match="the origin of upstream 'up', nor at any of its origins"):
        several.get(url)
    request = requests.Request("GET", "http://files.x/").prepare()
    request.url = url
    with pytest.raises(ForeignOrigin):
        several.send(request)
    assert (proxy.seen, upstream.seen) == ([], [])


def test_redirects(several: UpstreamClient, upstream: Upstream) -> None:
    """A redirect from one to another keeps the token; one that leaves them all loses it, even if it leads back."""
    upstream.answers["http://api.x/v1/a"] = Answer(307, b"", {"Location": "http://files.x/b"})
    upstream.answers["http://files.x/b"] = Answer(302, b"", {"Location": "http://api2.x:8080/c"})
    assert several.get("a").json() == {"path": "http://api2.x:8080/c", "token": "access-1"}
    upstream.answers["http://api2.x:8080/c"] = Answer(302, b"", {"Location": "http://evil.net/"})
    upstream.answers["http://evil.net/"] = Answer(302, b"", {"Location": "http://files.x/d"})
    upstream.seen.clear()
    assert several.get("a").status_code == 401
    assert [token for _, token in upstream.pop_tokens()] == ["access-1"] * 3 + ["", ""]


def test_within_base_url(several: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """``within_base_url`` keeps calls to BASE_URL's own origin below its path; the others have none to stay below."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["within_base_url"] = True
    unbind()
    assert several.get("http://files.x/any/").status_code == 200
    assert several.get("orders/").status_code == 200
    with pytest.raises(ForeignOrigin, match="not below BASE_URL of upstream 'up', nor at any of its origins"):
        several.get("/v2/")


def test_address_that_comes_with_the_token() -> None:
    """Where the API's address comes with the token, further origins may be called as well, but not BASE_URL's."""
    found = {"base_url_paths": ["url"], "base_url_hosts": ["*.example.com"]}
    backend = Backend("up", "https://login.example.com/", origins=["https://files.example.com"], **found)
    base_url, _ = backend.address(TokenPair("a", answer=Secrets(base_url="https://a.example.com/v1/")))
    assert base_url == "https://a.example.com/v1/"
    urls = ["https://a.example.com/v2/", "https://files.example.com/", "https://login.example.com/"]
    assert [backend.may_call(url, base_url) for url in urls] == [True, True, False]
    assert [backend.may_call(url) for url in urls] == [False, True, True]


WITHOUT = "origins must have web addresses without user, path and wildcard"
WRONG = [
    *((written, WITHOUT) for written in ("files.x", "//files.x", "ftp://files.x", "https://files.x/v1", "https://")),
    *((written, WITHOUT) for written in ("https://files.x?", "https://files.x/#a", "https://*.files.x", "*", "")),
    *((written, WITHOUT) for written in ("https://user@files.x", "https://:pw@files.x", "https://files.x\\@evil.net")),
    *(
        (written, WITHOUT)
        for written in ("https://files.x:99999", "https://[::1", "https://files .x", "https://a\n.x")
    ),
    ("http://files.x", "origins has 'http://files.x', which is not encrypted, and BASE_URL is"),
]


@pytest.mark.parametrize(("written", "message"), WRONG)
def test_what_is_no_origin(written: str, message: str) -> None:
    """Settings can't name what is no origin, or would take the encryption away."""
    problems = list(Backend("up", "https://api.x/v1/", origins=[written]).check())
    assert [problem[: len(message)] for problem in problems] == [message]
    assert "pw" not in problems[0]


@pytest.mark.parametrize(
    ("base_url", "written"),
    [
        ("https://api.x", "https://files.x:8443/"),
        ("https://api.x", "https://bücher.example"),
        ("https://api.x", "https://[::1]"),
        ("https://api.x/v1/", "https://api.x"),
        ("http://api.x", "http://files.x"),
        ("http://api.x", "https://api.x"),
    ],
)
def test_what_is_one(base_url: str, written: str) -> None:
    """A web address with a host and perhaps a port is; one with http only where BASE_URL has http too."""
    assert list(Backend("up", base_url, origins=[written]).check()) == []


def test_contradiction() -> None:
    """BASE_URL's own origin can't be opened and closed at the same time."""
    backend = Backend("up", "https://api.x/v1/", origins=["https://API.x:443"], within_base_url=True)
    assert [problem[:34] for problem in backend.check()] == ["origins has the origin of BASE_URL"]
