"""What holds for every way to call: by requests or httpx, waiting or awaited, as a transport or as an ``auth=``."""

from __future__ import annotations

import io
import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import httpx2
import pytest
import requests
from django.core import mail
from django.db import connections
from requests.exceptions import InvalidHeader

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import (
    AccountLocked,
    BodyNotReplayable,
    CredentialMismatch,
    CredentialRejected,
    ForeignOrigin,
    NotLoggedIn,
    RefreshUnavailable,
)
from jwt_upstream.models import Credential
from jwt_upstream.tokens import TokenPair
from tests.support import workers
from tests.support.callers import CALLERS, Caller
from tests.support.proxy import Proxy
from tests.support.reporters import everything, searcher
from tests.support.rows import unbind
from tests.support.upstream import Answer, Seen, Upstream, hang_up

LOCKED = Answer(401, {"code": 401, "message": "Account is disabled."})
#: What none of them sends a token to; a library may say itself that it can't be called.
FOREIGN = ["http://evil.net/", "//evil.net/", "http://127.0.0.1/", "http://127.0.0.1.evil.net/", "ftp://127.0.0.1/"]
UNREADABLE = (
    ForeignOrigin,
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    httpx.InvalidURL,
    httpx.UnsupportedProtocol,
    httpx2.InvalidURL,
    httpx2.UnsupportedProtocol,
)


@pytest.fixture(params=CALLERS)
def call(request: Any, client: UpstreamClient) -> Caller:
    """Each way to call; "up" is logged in."""
    return CALLERS[request.param]


@pytest.fixture
def through_proxy(call: Caller, proxy: Proxy) -> Proxy:
    """The proxy that makes every host the upstream, for those that take it from the upstream's options."""
    if call.is_auth:
        pytest.skip("the client's own business")
    return proxy


# -- the table of the design


def test_good_token(call: Caller, upstream: Upstream) -> None:
    """A success is handed to the caller after one request, which the response does not show the token of."""
    response = call("GET", "orders/")
    assert response.json()["token"] == "access-1"
    assert len(upstream.seen) == 1
    assert "Authorization" not in response.request.headers


@pytest.mark.parametrize("status", [400, 403, 404, 409, 500, 503])
def test_error_that_is_not_about_the_token(call: Caller, upstream: Upstream, status: int) -> None:
    """Any error that is not about the token is handed to the caller, unchanged."""
    upstream.answers["/orders/"] = Answer(status, {"detail": "no"})
    response = call("GET", "orders/")
    assert (response.status_code, response.json(), len(upstream.seen)) == (status, {"detail": "no"}, 1)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"content": b"raw"},
        {"json": {"a": [1]}},
        {"data": {"a": "1"}},
        {"files": {"file": ("a.txt", b"text")}},
    ],
    ids=str,
)
def test_expired_token(call: Caller, upstream: Upstream, given: dict[str, Any]) -> None:
    """A 401 is answered by one refresh and exactly the same call again."""
    upstream.expire()
    response = call("POST", "orders/?a=b%2Fc", headers={"Idempotency-Key": "k1"}, **given)
    assert response.json() == {"path": "/orders/?a=b%2Fc", "token": "access-2"}
    first, again = upstream.calls("/orders/")
    assert (first.method, first.path, first.body) == (again.method, again.path, again.body)
    assert without_token(first) == without_token(again)
    assert (upstream.refreshes, upstream.reuses) == (1, 0)


def without_token(seen: Seen) -> list[tuple[str, str]]:
    return [(name.lower(), value) for name, value in seen.headers.items() if name.lower() != "authorization"]


def test_refresh_refused(call: Caller, upstream: Upstream, mailoutbox: list[mail.EmailMessage]) -> None:
    """A refused refresh makes the credential rejected, tells the admins once, and fails every further call at once."""
    upstream.expire()
    upstream.refresh = "another"
    for _ in range(2):
        with pytest.raises(CredentialRejected, match="upstream_login up"):
            call("GET", "orders/")
    assert [seen.path for seen in upstream.seen] == ["/orders/", "/refresh"]
    assert [message.subject for message in mailoutbox] == ["[Django] jwt_upstream: up/default is rejected"]


def test_locked(call: Caller, upstream: Upstream, mailoutbox: list[mail.EmailMessage]) -> None:
    """A 401 that says the account is disabled locks the credential: no refresh, no retry, one mail."""
    upstream.answers["/orders/"] = LOCKED
    for _ in range(2):
        with pytest.raises(AccountLocked):
            call("GET", "orders/")
    assert [seen.path for seen in upstream.seen] == ["/orders/"]
    assert [message.subject for message in mailoutbox] == ["[Django] jwt_upstream: up/default is locked"]


def test_second_401(call: Caller, upstream: Upstream) -> None:
    """The second answer goes to the caller whatever it is, and the route does not hammer the token endpoint."""
    upstream.answers["/orders/"] = Answer(401, {"detail": "never"})
    for _ in range(3):
        response = call("GET", "orders/")
        assert (response.status_code, response.json()) == (401, {"detail": "never"})
    assert upstream.refreshes == 1
    assert Credential.objects.get().state == "active"


# -- further states


def test_locked_in_the_second_answer(call: Caller, upstream: Upstream) -> None:
    """The account may turn out to be locked only once the token is fresh."""
    upstream.expire()
    upstream.answers["/orders/"] = lambda seen: LOCKED if seen.token == "access-2" else None
    with pytest.raises(AccountLocked):
        call("GET", "orders/")
    assert Credential.objects.get().state == "locked"


def test_locked_said_of_a_token_that_was_replaced(call: Caller, upstream: Upstream) -> None:
    """What an answer says of a token that was replaced meanwhile locks nothing; the call is sent with the new one."""

    def answer(seen: Seen) -> Answer | None:
        if seen.token != "access-1":
            return None
        pair = upstream.issue()
        UpstreamClient("up").adopt(TokenPair(pair["access"], pair["refresh"]))
        return LOCKED

    upstream.answers["/orders/"] = answer
    assert call("GET", "orders/").json()["token"] == "access-2"
    assert Credential.objects.get().state == "active"


def test_logged_out(call: Caller, client: UpstreamClient, upstream: Upstream) -> None:
    """Without tokens nothing is sent; a login in the same process is seen at once."""
    client.logout()
    with pytest.raises(NotLoggedIn):
        call("GET", "orders/")
    assert upstream.seen == []
    client.login(username=upstream.user, password=upstream.password)
    assert call("GET", "orders/").json()["token"] == "access-2"


def test_upstream_that_is_down(call: Caller, upstream: Upstream) -> None:
    """A refresh that fails for a while gives nothing up, and isn't tried again at once."""
    upstream.expire()
    upstream.answers["/refresh"] = Answer(503, b"")
    for _ in range(2):
        with pytest.raises(RefreshUnavailable):
            call("GET", "orders/")
    assert upstream.refreshes == 1
    assert Credential.objects.get().state == "active"


def test_herd(call: Caller, upstream: Upstream) -> None:
    """Many calls at the same moment with an expired token make one refresh."""
    upstream.expire()
    upstream.refresh_delay = 0.2
    assert [answer.json()["token"] for answer in call.together(12, "orders/")] == ["access-2"] * 12
    assert (upstream.refreshes, upstream.reuses) == (1, 0)


def test_herd_that_is_refused(call: Caller, upstream: Upstream, mailoutbox: list[mail.EmailMessage]) -> None:
    """Many calls at the same moment learn of one refusal, each by an error of its own."""
    upstream.expire()
    upstream.refresh, upstream.refresh_delay = "another", 0.2
    errors = call.together(12, "orders/")
    assert {type(error) for error in errors} == {CredentialRejected}
    assert len(set(map(id, errors))) == 12
    assert (upstream.refreshes, len(mailoutbox)) == (1, 1)


def test_route_that_always_refuses(call: Caller, upstream: Upstream) -> None:
    """While one call tries a fresh token on a route that takes none, another one doesn't refresh it again."""
    tries, may_fail = itertools.count(), threading.Event()

    def refuse(seen: Seen) -> Answer:
        if seen.token == "access-2" and not next(tries):
            may_fail.wait(10)
        elif seen.token == "access-2":
            threading.Timer(0.2, may_fail.set).start()
        return Answer(401, {"detail": "never"})

    upstream.answers["/never/"] = refuse

    def call_first() -> Any:
        try:
            return call("GET", "never/").status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(call_first)
        workers.until(lambda: len(upstream.calls("/never/")) == 2)
        assert call("GET", "never/").status_code == 401
        assert first.result(20) == 401
    assert (upstream.refreshes, upstream.reuses) == (1, 0)


# -- bodies


def test_body_that_can_be_sent_only_once(call: Caller, upstream: Upstream) -> None:
    """The token is refreshed, and the caller is told to call again; never is another body sent instead."""
    upstream.expire()
    with pytest.raises(BodyNotReplayable) as caught:
        call("POST", "orders/", content=pieces(call))
    assert caught.value.response is not None
    assert caught.value.response.status_code == 401
    assert (len(upstream.calls("/orders/")), upstream.refreshes) == (1, 1)
    assert call("POST", "orders/", content=pieces(call)).status_code == 200
    assert upstream.calls("/orders/")[-1].body == b"onetwo"


def pieces(call: Caller) -> Any:
    """Return a generator of the kind that the caller takes."""

    def waiting() -> Iterator[bytes]:
        yield from (b"one", b"two")

    async def awaited() -> Any:
        for piece in waiting():
            yield piece

    return awaited() if call.is_awaited else waiting()


def test_files_of_a_form(call: Caller, upstream: Upstream) -> None:
    """Files in a form are sent again if they can be read again, and never as nothing."""
    upstream.expire()
    assert call("POST", "orders/", files={"file": ("a.txt", io.BytesIO(b"text"))}).status_code == 200
    first, again = upstream.calls("/orders/")
    assert first.body == again.body
    assert b"text" in again.body


# -- where the token goes


@pytest.mark.parametrize("url", FOREIGN)
def test_foreign_origin(call: Caller, upstream: Upstream, url: str) -> None:
    """No other origin is called."""
    with pytest.raises(UNREADABLE):
        call("GET", url)
    with pytest.raises(UNREADABLE):
        call("GET", upstream.url.replace("://", "://user:secret@"))
    assert upstream.seen == []


@pytest.mark.parametrize("name", ["Authorization", "authorization", "Host"])
def test_headers_of_the_caller(call: Caller, upstream: Upstream, name: str) -> None:
    """A caller's own token or host is refused."""
    with pytest.raises(InvalidHeader, match="remove yours"):
        call("GET", "orders/", headers={name: "mine"})
    assert upstream.seen == []


def test_length_of_the_caller(call: Caller, upstream: Upstream) -> None:
    """A caller may say how long the body is if that is so, and in no other way where it ends."""
    chunked = {"Transfer-Encoding": "chunked"}
    for headers in (chunked, chunked | {"Content-Length": "4"}, {"Content-Length": "2"}, {"Content_Length": "5"}):
        with pytest.raises(InvalidHeader, match="remove yours"):
            call("POST", "orders/", content=b"body", headers=headers)
    assert upstream.seen == []
    assert call("POST", "orders/", content=b"body", headers={"Content-Length": "4"}).status_code == 200


def test_another_upstream(call: Caller, upstream: Upstream, settings: Any) -> None:
    """Once settings name another origin or client, a token that is cached for the old one is sent nowhere."""
    call("GET", "orders/")
    with Upstream() as other:
        other.access = upstream.access
        for changed in ({"BASE_URL": other.url}, {"BASE_URL": upstream.url, "OPTIONS": {"client_id": "another"}}):
            settings.JWT_UPSTREAM["up"] |= changed
            with pytest.raises(CredentialMismatch, match="upstream_rebind up"):
                call("GET", "orders/")
        assert (len(upstream.seen), other.seen) == (1, [])


def test_redirect_inside_the_origin(call: Caller, upstream: Upstream) -> None:
    """A redirect inside the origin is followed with the token, if redirects are followed."""
    upstream.answers["/old/"] = Answer(302, b"", {"Location": "/orders/"})
    assert call("GET", "old/", follow=True).json() == {"path": "/orders/", "token": "access-1"}
    assert call("GET", "old/").status_code == 302


@pytest.mark.parametrize("status", [302, 307])
def test_redirect_to_another_origin(
    call: Caller, through_proxy: Proxy, upstream: Upstream, settings: Any, status: int
) -> None:
    """A redirect to another origin is followed without the token; what is answered there is no sign about it."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["api_headers"] = {"X-Api-Key": "{access}"}
    upstream.answers["http://api.x/old/"] = Answer(status, b"", {"Location": "http://evil.net/"})
    upstream.answers["http://evil.net/"] = LOCKED
    assert call("POST", "/old/", content=b"body", follow=True).status_code == 401
    assert [(seen.path, seen.headers.get("X-Api-Key")) for seen in upstream.seen] == [
        ("http://api.x/old/", "access-1"),
        ("http://evil.net/", None),
    ]
    assert Credential.objects.get().state == "active"


def test_further_origin(call: Caller, through_proxy: Proxy, upstream: Upstream, settings: Any) -> None:
    """A further origin that settings name is called with the token, and a redirect to it keeps it; no other does."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["origins"] = ["http://files.x"]
    unbind()
    upstream.answers["http://api.x/old/"] = Answer(302, b"", {"Location": "http://files.x/new/"})
    upstream.expire()
    assert call("GET", "http://files.x/").json()["token"] == "access-2"
    assert call("GET", "/old/", follow=True).json() == {"path": "http://files.x/new/", "token": "access-2"}
    with pytest.raises(ForeignOrigin, match="nor at any of its origins"):
        call("GET", "http://files.x:8080/")


def test_proxy(
    call: Caller, through_proxy: Proxy, upstream: Upstream, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy needs no scheme; an empty one is none, the environment's neither; no error shows what can't be read."""
    proxies = settings.JWT_UPSTREAM["up"]["OPTIONS"]["proxies"]
    proxies["http"] = through_proxy.url.removeprefix("http://")
    assert call("GET", "orders/").json()["path"] == "http://api.x/v1/orders/"
    proxies["http"] = "user:top-secret@proxy:3128"
    with pytest.raises(requests.exceptions.InvalidProxyURL) as caught:
        call("GET", "orders/")
    assert "secret" not in str(caught.value)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1/")
    proxies["http"] = ""
    settings.JWT_UPSTREAM["up"]["BASE_URL"] = upstream.url
    unbind()
    assert call("GET", "orders/").json()["path"] == "/orders/"


def test_way_back_into_the_origin(call: Caller, through_proxy: Proxy, upstream: Upstream) -> None:
    """From the moment at which a redirect has left the origin no hop gets the token."""
    upstream.answers["http://api.x/old/"] = Answer(302, b"", {"Location": "http://evil.net/"})
    upstream.answers["http://evil.net/"] = Answer(302, b"", {"Location": "http://api.x/old/"})
    with pytest.raises((requests.TooManyRedirects, httpx.TooManyRedirects, httpx2.TooManyRedirects)):
        call("GET", "/old/", follow=True)
    tokens = [token for _, token in upstream.pop_tokens()]
    assert (tokens[0], set(tokens[1:])) == ("access-1", {""})
    upstream.answers["http://api.x/old/"] = Answer(200, {})
    call("GET", "/old/")
    assert upstream.pop_tokens() == [("http://api.x/old/", "access-1")]


def test_401_of_another_origin(call: Caller, upstream: Upstream) -> None:
    """An ``auth=`` too takes a 401 for its own only if it comes from the upstream."""
    with Upstream() as other:
        other.answers["/"] = LOCKED
        upstream.answers["/old/"] = Answer(302, b"", {"Location": other.url})
        assert call("GET", "old/", follow=True).status_code == 401
        assert other.pop_tokens() == [("/", "")]
    assert Credential.objects.get().state == "active"


# -- secrets


def test_error_of_the_network(call: Caller, upstream: Upstream) -> None:
    """An error shows no token, in no variable of any frame; to an ``auth=`` that holds for its own errors."""
    if call.is_auth:
        upstream.expire()
        upstream.refresh = "another"
    else:
        upstream.answers["/orders/"] = hang_up
    with pytest.raises(Exception) as caught:  # noqa: PT011 -- each library has one of its own
        call("GET", "orders/")
    assert upstream.seen[0].token == "access-1"
    found = searcher(["access-1", "refresh-1"])
    assert [(place, shown) for place, text in everything(caught.value) if (shown := found(text))] == []
