"""Calls from async code."""

from __future__ import annotations

import asyncio
import io
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from contextvars import Context
from functools import partial
from typing import Any, TypeVarTuple

import pytest
from asgiref.sync import ThreadSensitiveContext, async_to_sync, sync_to_async
from django.db import connections

from jwt_upstream.client import UpstreamClient
from jwt_upstream.client.async_threads import _called, _Caller, on_callers_connection
from jwt_upstream.exceptions import BodyNotReplayable, CredentialRejected, ForeignOrigin, RefreshBusy
from jwt_upstream.httpx_auth import AsyncUpstreamClient
from jwt_upstream.models import Credential
from jwt_upstream.refresh.token_cache import token_cache
from jwt_upstream.tokens import TokenPair
from tests.support.upstream import Answer, Seen, Upstream

#: More than asyncio's own threads on any machine of up to eight cores.
MANY = 40


@pytest.mark.parametrize("verb", ["get", "options", "head", "post", "put", "patch", "delete"])
def test_verbs(client: UpstreamClient, upstream: Upstream, verb: str) -> None:
    """Each verb has its async namesake, which refreshes as well."""
    upstream.expire()
    response = async_to_sync(getattr(client, f"a{verb}"))("orders/")
    assert response.status_code == 200
    assert [seen.method for seen in upstream.calls("/orders/")] == [verb.upper()] * 2


def test_concurrent_calls(client: UpstreamClient, upstream: Upstream) -> None:
    """Many tasks with an expired token make one refresh."""
    upstream.expire()
    upstream.refresh_delay = 0.3

    async def calls() -> list[int]:
        responses = await asyncio.gather(*(client.aget("orders/") for _ in range(12)))
        return [response.status_code for response in responses]

    assert async_to_sync(calls)() == [200] * 12
    assert (upstream.refreshes, upstream.reuses) == (1, 0)


def test_cancelled_call(client: UpstreamClient, upstream: Upstream) -> None:
    """A refresh that a cancelled call was waiting for is finished and stored."""
    upstream.expire()
    upstream.refresh_delay = 0.5

    async def call() -> None:
        async with asyncio.timeout(0.2):
            await client.aget("orders/")

    with pytest.raises(TimeoutError):
        async_to_sync(call)()
    assert UpstreamClient("up").get("orders/").json()["token"] == "access-2"
    assert upstream.refreshes == 1


def test_cancelled_upload(client: UpstreamClient, upstream: Upstream) -> None:
    """A call that was cancelled while it refreshed still sends its own body again, whole, and no other."""
    upstream.expire()
    upstream.refresh_delay = 0.5

    async def calls() -> Any:
        file = io.BytesIO(b"0123456789")
        file.seek(4)
        cancelled = asyncio.create_task(client.aput("cancelled/", data=file))
        others = [client.aput(f"orders/{number}/", data=str(number).encode()) for number in range(5)]
        asyncio.get_running_loop().call_later(0.2, cancelled.cancel)
        return await asyncio.gather(cancelled, *others, return_exceptions=True)

    cancelled, *others = async_to_sync(calls)()
    assert isinstance(cancelled, asyncio.CancelledError)
    assert [response.json()["path"] for response in others] == [f"/orders/{number}/" for number in range(5)]
    for number in range(5):
        assert [seen.body for seen in upstream.calls(f"/orders/{number}/")] == [str(number).encode()] * 2
    assert {seen.body for seen in upstream.calls("/cancelled/")} == {b"456789"}
    assert (upstream.refreshes, upstream.reuses) == (1, 0)


def test_same_guarantees(client: UpstreamClient, upstream: Upstream) -> None:
    """Bodies that can be sent only once, other origins, redirects and streams: as with the sync verbs."""
    upstream.expire()
    with pytest.raises(BodyNotReplayable) as caught:
        async_to_sync(client.apost)("orders/", data=iter([b"once"]))
    assert caught.value.response is not None
    assert caught.value.response.status_code == 401
    with pytest.raises(ForeignOrigin):
        async_to_sync(client.aget)("https://evil.example.net/")
    with Upstream() as foreign:
        upstream.answers["/away/"] = Answer(302, b"", {"Location": foreign.url})
        upstream.answers["/old/"] = Answer(307, b"", {"Location": "/orders/"})
        assert async_to_sync(client.aget)("away/").status_code == 401
        assert foreign.seen[0].token == ""
        assert async_to_sync(client.apatch)("old/", data=b"x").json()["token"] == "access-2"
        assert async_to_sync(client.ahead)("old/").status_code == 307
    upstream.answers["/large/"] = Answer(200, b"x" * 200_000)
    with async_to_sync(client.aget)("large/", stream=True) as response:
        assert response.raw.tell() == 0
        assert b"".join(response.iter_content(1000)) == b"x" * 200_000
    assert upstream.refreshes == 1


def test_loop_that_is_gone(client: UpstreamClient) -> None:
    """A call that outlives the event loop it was awaited on ends with an error, and leaves nothing unawaited."""
    loop = asyncio.new_event_loop()
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        _called(_Caller(loop, Context()), client.get, "orders/")


@pytest.mark.parametrize("verb", ["aget", "get"])
@pytest.mark.parametrize("thread", ["of a request", "of the process"])
def test_below_sync_code(client: UpstreamClient, settings: Any, verb: str, thread: str) -> None:
    """Below sync code, such as a sync middleware under ASGI, the database is used in its thread, which idles."""
    settings.JWT_UPSTREAM_WAIT_SECONDS = 1
    token_cache().invalidate_all()
    calling = client if verb == "aget" else AsyncUpstreamClient("up")

    async def view() -> int:
        return int((await getattr(calling, verb)("orders/")).status_code)

    async def request() -> int:
        async with ThreadSensitiveContext() if thread == "of a request" else nullcontext():
            try:
                return await sync_to_async(async_to_sync(view))()
            finally:
                await sync_to_async(connections.close_all)()  # that of the thread, which ends with the request

    assert asyncio.run(request()) == 200


@pytest.mark.parametrize("run", [lambda call: asyncio.run(call()), lambda call: async_to_sync(call)()])
def test_below_awaited_code(client: UpstreamClient, settings: Any, run: Callable[[Any], int]) -> None:
    """Code in a thread of the upstream's may await calls, however few of these there are, and whoever waits."""
    settings.JWT_UPSTREAM_ASYNC_THREADS = 1
    token_cache().invalidate_all()

    async def call() -> int:
        async with asyncio.timeout(3):
            return int((await AsyncUpstreamClient("up").get("orders/")).status_code)

    def work() -> int:
        time.sleep(0.02)  # until the other call waits for this thread
        try:
            return run(call)
        finally:
            connections.close_all()

    async def together() -> tuple[int, int]:
        return await asyncio.gather(client.arun(work), call())

    assert list(asyncio.run(together())) == [200, 200]


@pytest.mark.django_db
def test_inside_a_test_case(upstream: Upstream) -> None:
    """In users' async tests the database is used where the test's transaction is."""
    client = UpstreamClient("up")
    client.adopt(TokenPair("stale", "refresh-1"))
    upstream.issue()
    assert async_to_sync(client.aget)("orders/").json()["token"] == "access-2"
    assert Credential.objects.get().pair.refresh == "refresh-2"
    upstream.refresh = "gone"
    upstream.expire()
    with pytest.raises(CredentialRejected):
        async_to_sync(client.apost)("orders/", data=b"x")


def test_thread_with_the_connection_is_busy(client: UpstreamClient, settings: Any) -> None:
    """An awaited call that can't get at the database in time is told to try again, as every caller is."""
    settings.JWT_UPSTREAM_WAIT_SECONDS = 0.3

    async def calls() -> None:
        blocker = asyncio.ensure_future(sync_to_async(time.sleep, thread_sensitive=True)(1.0))
        await asyncio.sleep(0.05)
        with pytest.raises(RefreshBusy, match="the thread that has the database connection was busy"):
            await UpstreamClient("up").aget("orders/")
        await blocker

    asyncio.run(calls())


Given = TypeVarTuple("Given")


class _Ending(asyncio.SelectorEventLoop):
    """An event loop that is closed as soon as it has been given something to do."""

    def call_soon_threadsafe(
        self, callback: Callable[[*Given], object], *args: *Given, context: Context | None = None
    ) -> asyncio.Handle:
        handle = super().call_soon_threadsafe(callback, *args, context=context)
        self.close()
        return handle


def test_event_loop_that_ends(settings: Any) -> None:
    """A call that was cancelled, and whose loop ends before it got to the database, leaves nothing unawaited."""
    settings.JWT_UPSTREAM_WAIT_SECONDS = 0.05
    with pytest.raises(RefreshBusy):
        _called(_Caller(_Ending(), Context()), on_callers_connection, lambda: None)


def test_many_calls(client: UpstreamClient, upstream: Upstream) -> None:
    """Many calls are under way at the same moment, while asyncio's own threads are left to others."""
    meeting = threading.Barrier(MANY + 1)

    def meet(seen: Seen) -> Answer:
        meeting.wait(20)
        return Answer(200, {})

    upstream.answers["/slow/"] = meet

    async def calls() -> list[int]:
        slow = [asyncio.ensure_future(UpstreamClient("up").aget("slow/")) for _ in range(MANY)]
        await asyncio.to_thread(meeting.wait, 20)  # which needs one of them, and is met by all the calls
        return [response.status_code for response in await asyncio.gather(*slow)]

    assert async_to_sync(calls)() == [200] * MANY


def test_slow_upstream(client: UpstreamClient, upstream: Upstream, gate: threading.Event, settings: Any) -> None:
    """Calls beyond the number that may be under way wait for their turn, and those of another upstream do not."""
    settings.JWT_UPSTREAM_ASYNC_THREADS = 2
    running: list[str] = []
    most: list[int] = []

    def wait(seen: Seen) -> Answer:
        running.append(seen.path)
        most.append(len(running))
        gate.wait(20)
        running.pop()
        return Answer(200, {})

    upstream.answers["/slow/"] = wait
    with Upstream() as other:
        config = settings.JWT_UPSTREAM["up"]
        settings.JWT_UPSTREAM = {"up": config, "other": {**config, "BASE_URL": other.url}}
        UpstreamClient("other").login(username=other.user, password=other.password)

        async def calls() -> list[int]:
            slow = [asyncio.ensure_future(client.aget("slow/")) for _ in range(5)]
            assert (await UpstreamClient("other").aget("orders/")).status_code == 200
            while len(running) < 2:  # until both threads are at it
                await asyncio.sleep(0.01)
            gate.set()
            return [response.status_code for response in await asyncio.gather(*slow)]

        assert async_to_sync(calls)() == [200] * 5
    assert (max(most), len(most)) == (2, 5)


def test_code_of_others(client: UpstreamClient, upstream: Upstream) -> None:
    """Blocking code that calls with the client, as an SDK does, is awaited; its result and its errors come back."""
    upstream.expire()

    def total(pages: int, *, path: str) -> int:
        return sum(client.get(f"{path}{page}/").status_code for page in range(pages))

    assert async_to_sync(client.arun)(total, 3, path="orders/") == 600
    assert upstream.refreshes == 1
    with pytest.raises(ZeroDivisionError):
        async_to_sync(client.arun)(divmod, 1, 0)
    asynchronous: Any = client.aget
    with pytest.raises(TypeError, match="await it"):
        async_to_sync(client.arun)(asynchronous, "orders/")


@pytest.mark.parametrize("where", ["call", "work with the database"])
def test_end_of_an_iterator(client: UpstreamClient, settings: Any, where: str) -> None:
    """StopIteration, which no awaited call can raise, is an error of its own, as it is from Python 3.12 on."""
    settings.JWT_UPSTREAM_WAIT_SECONDS = 0.3
    ended = partial(next, iter([]))

    async def call() -> None:
        async with asyncio.timeout(0.5):
            await client.arun(ended if where == "call" else partial(on_callers_connection, ended))

    with pytest.raises(RuntimeError, match="StopIteration"):
        asyncio.run(call())
