"""The client for async views."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from collections.abc import Awaitable, Callable
from operator import methodcaller
from typing import Any

import httpx2
import pytest
from asgiref.sync import async_to_sync
from django.test import override_settings

from jwt_upstream.client import UpstreamClient
from jwt_upstream.client.async_threads import call_threads
from jwt_upstream.exceptions import CredentialRejected
from jwt_upstream.httpx_auth import AsyncUpstreamClient
from jwt_upstream.measurements import refresh_awaited
from jwt_upstream.models import Credential
from jwt_upstream.tokens import TokenPair
from tests.support.rows import unbind
from tests.support.upstream import Answer, Seen, Upstream


def awaited(call: Callable[[AsyncUpstreamClient], Awaitable[Any]], **options: Any) -> Any:
    async def run() -> Any:
        async with AsyncUpstreamClient("up", **options) as client:
            return await call(client)

    return async_to_sync(run)()


def test_base_url(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """Paths are joined to BASE_URL as UpstreamClient does it, which is as a browser does it."""
    settings.JWT_UPSTREAM["up"]["BASE_URL"] = f"{upstream.url}api/v1/"
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["refresh_path"] = "/refresh"
    unbind()
    for path in ("orders/", "/orders/", "../orders/", "?a=1", "", f"{upstream.url}orders/?a=1"):
        found = awaited(methodcaller("get", path)).json()["path"]
        assert found == client.get(path).json()["path"], path


@pytest.mark.parametrize("name", ["proxy", "mounts"])
def test_way_past_the_token(client: UpstreamClient, upstream: Upstream, name: str) -> None:
    """What httpx would send by transports of its own, without the token, is refused, and None is not."""
    with pytest.raises(TypeError, match=f"with {name}= calls would be sent without the token"):
        awaited(methodcaller("get", "orders/"), **{name: {"all://": httpx2.AsyncHTTPTransport()}})
    assert awaited(methodcaller("get", "orders/"), **{name: None}).json()["token"] == "access-1"


def test_timeouts(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """The timeouts are the upstream's, unless the client or the call has another one."""
    upstream.answers["/slow/"] = Answer(200, {}, delay=0.5)
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["timeout"] = (3.0, 0.1)
    with pytest.raises(httpx2.ReadTimeout):
        awaited(lambda calling: calling.get("slow/"))
    assert awaited(lambda calling: calling.get("slow/", timeout=5)).status_code == 200
    assert awaited(lambda calling: calling.get("slow/"), timeout=5).status_code == 200
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["timeout"] = 4.0
    assert AsyncUpstreamClient("up").timeout == httpx2.Timeout(4.0)


@pytest.mark.parametrize("keep_cookies", [False, True])
def test_cookies(client: UpstreamClient, upstream: Upstream, settings: Any, keep_cookies: bool) -> None:
    """A cookie of the upstream is kept only where the settings say so."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["keep_cookies"] = keep_cookies
    upstream.answers["/orders/"] = Answer(200, {}, {"Set-Cookie": "session=1"})

    async def calls(calling: AsyncUpstreamClient) -> Any:
        first = await calling.get("orders/")
        await calling.get("orders/")
        return first

    assert awaited(calls).cookies["session"] == "1"
    assert upstream.seen[-1].headers.get("Cookie") == ("session=1" if keep_cookies else None)


@pytest.mark.django_db
def test_inside_a_test_case(upstream: Upstream) -> None:
    """In users' async tests the database is used where the test's transaction is."""
    client = UpstreamClient("up")
    client.adopt(TokenPair("stale", "refresh-1"))
    upstream.issue()
    assert awaited(lambda calling: calling.get("orders/")).json()["token"] == "access-2"
    assert Credential.objects.get().pair.refresh == "refresh-2"
    client.adopt(TokenPair("another", "refresh-2"))
    upstream.access = {"another"}
    assert awaited(lambda calling: calling.get("orders/")).json()["token"] == "another"
    upstream.refresh = "gone"
    upstream.expire()
    with pytest.raises(CredentialRejected):
        awaited(lambda calling: calling.post("orders/", content=b"x"))


def test_event_loop_goes_on(client: UpstreamClient, upstream: Upstream) -> None:
    """Neither a slow upstream nor a slow refresh keeps the event loop from anything else."""
    upstream.expire()
    upstream.refresh_delay = 0.3
    ticks = 0

    async def calls(calling: AsyncUpstreamClient) -> Any:
        nonlocal ticks
        waiting = asyncio.ensure_future(calling.get("orders/"))
        while not waiting.done():
            await asyncio.sleep(0.01)
            ticks += 1
        return await waiting

    assert awaited(calls).json()["token"] == "access-2"
    assert ticks >= 10


def test_many_calls_ask_once(client: UpstreamClient, upstream: Upstream) -> None:
    """However many calls wait for a token, one thread of theirs is enough to wait for it."""
    upstream.expire()
    started: set[str] = set()

    async def calls(calling: AsyncUpstreamClient) -> Any:
        responses = await asyncio.gather(*(calling.get("orders/") for _ in range(60)))
        return {response.json()["token"] for response in responses}

    def note(sender: Any, **_: Any) -> None:
        started.add(threading.current_thread().name)

    refresh_awaited.connect(note)
    try:
        assert awaited(calls) == {"access-2"}
    finally:
        refresh_awaited.disconnect(note)
    assert len(started) == 1
    assert upstream.refreshes == 1


def test_warm_call(client: UpstreamClient, settings: Any) -> None:
    """A call whose token this process has read a moment ago needs no thread."""
    settings.JWT_UPSTREAM_ASYNC_THREADS = 7
    client.get("orders/")
    assert awaited(lambda calling: calling.get("orders/")).status_code == 200
    pool = call_threads()._pools.get(("up", 0))
    assert pool is None or pool._max_workers != 7  # else this call would have made a new one


def test_cancelled_call(client: UpstreamClient, upstream: Upstream) -> None:
    """A refresh that a cancelled call was waiting for is finished and stored, and the others get it."""
    upstream.expire()
    upstream.refresh_delay = 0.4

    async def calls(calling: AsyncUpstreamClient) -> Any:
        first = asyncio.ensure_future(calling.get("first/"))
        others = [asyncio.ensure_future(calling.get("others/")) for _ in range(3)]
        asyncio.get_running_loop().call_later(0.2, first.cancel)
        return await asyncio.gather(first, *others, return_exceptions=True)

    first, *others = awaited(calls)
    assert isinstance(first, asyncio.CancelledError)
    assert [response.json()["token"] for response in others] == ["access-2"] * 3
    assert (upstream.refreshes, upstream.reuses) == (1, 0)


def test_settings_that_change(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """Settings are read live: a client that was built before calls the address that they say now."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["refresh_path"] = "/refresh"

    async def calls(calling: AsyncUpstreamClient) -> Any:
        with override_settings(JWT_UPSTREAM={"up": {**settings.JWT_UPSTREAM["up"], "BASE_URL": f"{upstream.url}v2/"}}):
            return await calling.get("orders/")

    unbind()
    assert awaited(calls).json()["path"] == "/v2/orders/"


def test_locked_answer_that_is_packed(client: UpstreamClient, upstream: Upstream) -> None:
    """What a compressed answer says is understood."""
    body = gzip.compress(json.dumps({"code": 401, "message": "Account is disabled."}).encode())

    def answer(seen: Seen) -> Answer:
        return Answer(401, body, {"Content-Encoding": "gzip"})

    upstream.answers["/orders/"] = answer
    with pytest.raises(Exception, match="locked"):
        awaited(lambda calling: calling.get("orders/"))


def test_accounts_of_their_own(upstream: Upstream, settings: Any, transactional_db: None) -> None:
    """Each account is called at its own address, also behind a redirect, and its token goes to no other."""
    written = settings.JWT_UPSTREAM["up"]
    own = {"BASE_URL": f"{upstream.url}{{region}}/", "ACCOUNTS": {"parameters": ["region"]}}
    settings.JWT_UPSTREAM = {"up": {**written, **own, "OPTIONS": {"login_path": "../login"}}}
    upstream.answers["/eu/old/"] = Answer(302, headers={"Location": "../orders/"})
    UpstreamClient.register("up", "acme", parameters={"region": "eu"}).login(username="bob", password="correct horse")

    response = awaited(methodcaller("get", "old/"), account="acme", follow_redirects=True)
    assert str(response.url) == f"{upstream.url}eu/orders/"
    assert [(seen.path, bool(seen.token)) for seen in upstream.seen[1:]] == [("/eu/old/", True), ("/eu/orders/", True)]
