"""Forks, threads and coroutines: servers that load the site before they fork, and requests that are cancelled."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from asgiref.testing import ApplicationCommunicator
from django.core.asgi import get_asgi_application
from django.test import AsyncClient

from jwt_upstream.client import UpstreamClient
from jwt_upstream.models import Credential
from tests.support import crash_workers, workers
from tests.support.servers import Connections
from tests.support.upstream import Seen, Upstream
from tests.support.workers import FOREVER, await_ready, go_on, line, until

pytestmark = pytest.mark.slow


class Gate:
    """Holds the answer to a refresh back until it is opened."""

    def __init__(self, upstream: Upstream) -> None:
        self.has_arrived, self._may_answer = threading.Event(), threading.Event()
        upstream.answers["/refresh"] = self._wait

    def _wait(self, _: Seen) -> None:
        self.has_arrived.set()
        self._may_answer.wait(FOREVER)

    def open(self) -> None:
        """Let the upstream answer."""
        self._may_answer.set()


# -- fork


def test_threads_and_forks(client: UpstreamClient, upstream: Upstream) -> None:
    """Threads from before and after a fork, in both processes, get the answers to their own calls."""
    connections = Connections(upstream)
    upstream.expire()
    for_long = {"JWT_UPSTREAM_CACHE_SECONDS": 3600}
    worker = crash_workers.start("fork_between_threads", threads=4, calls=10, settings=for_long)
    await_ready(worker)
    go_on(worker)
    outcomes = workers.finish(worker)
    assert set(outcomes) == {"ok"}
    assert len(outcomes) >= 2 * 4 * 9 + 20
    assert len(connections.processes) == 2
    assert connections.shared == []
    assert (upstream.refreshes, upstream.reuses) == (1, 0)


def test_fork_in_a_refresh(client: UpstreamClient, upstream: Upstream) -> None:
    """A child that was forked in the middle of a refresh waits for its parent's, on a connection of its own."""
    connections = Connections(upstream)
    gate = Gate(upstream)
    upstream.expire()
    worker = crash_workers.start("fork_in_a_refresh")
    await_ready(worker)
    go_on(worker)
    assert gate.has_arrived.wait(FOREVER)
    go_on(worker)
    assert line(worker) == "forked"
    until(lambda: len(upstream.calls("/orders/")) == 2)  # the child's first, which is told 401
    gate.open()
    assert workers.finish(worker) == {"parent": "ok", "child": "ok", "parent again": "ok"}
    assert connections.shared == []
    assert (upstream.refreshes, upstream.reuses) == (1, 0)
    assert Credential.objects.get().pair.refresh == "refresh-2"


# -- async


@pytest.fixture
def site(client: UpstreamClient, settings: Any) -> None:
    """The site of ``crash_workers`` in this process."""
    settings.ROOT_URLCONF = "tests.support.crash_workers"


async def arrival(gate: Gate) -> None:
    """Wait until the upstream is asked for new tokens."""
    assert await asyncio.to_thread(gate.has_arrived.wait, FOREVER)


def test_cancelled_views(site: None, upstream: Upstream) -> None:
    """Views that are cancelled in the middle of a refresh don't undo it, and the next ones are served by it."""
    gate = Gate(upstream)
    upstream.expire()

    async def requests() -> list[Any]:
        waiting = [asyncio.create_task(AsyncClient().get("/async-orders/")) for _ in range(6)]
        await arrival(gate)
        for task in waiting[:5]:
            task.cancel()
        cancelled = await asyncio.gather(*waiting[:5], return_exceptions=True)
        assert all(isinstance(error, asyncio.CancelledError) for error in cancelled)
        following = asyncio.create_task(AsyncClient().get("/async-orders/"))
        gate.open()
        return [(await waiting[5]).json()["token"], (await following).json()["token"]]

    assert async_to_sync(within_time(requests))() == ["access-2", "access-2"]
    assert (upstream.refreshes, upstream.reuses) == (1, 0)
    assert Credential.objects.get().pair.refresh == "refresh-2"


def within_time(work: Any) -> Any:
    """Make a deadlock an error."""

    async def timed() -> Any:
        async with asyncio.timeout(FOREVER):
            return await work()

    return timed


def test_clients_that_disconnect(site: None, upstream: Upstream) -> None:
    """When browsers hang up in the middle of a refresh, the ASGI server's cancelling loses no tokens."""
    gate = Gate(upstream)
    upstream.expire()

    async def requests() -> Any:
        scope = {"type": "http", "method": "GET", "path": "/async-orders/", "headers": [], "query_string": b""}
        browsers = [ApplicationCommunicator(get_asgi_application(), scope) for _ in range(4)]
        for browser in browsers:
            await browser.send_input({"type": "http.request"})
        await arrival(gate)
        for browser in browsers:
            await browser.send_input({"type": "http.disconnect"})
            await browser.wait(FOREVER)
        gate.open()
        return (await AsyncClient().get("/async-orders/")).json()["token"]

    assert async_to_sync(within_time(requests))() == "access-2"
    assert (upstream.refreshes, upstream.reuses) == (1, 0)
    assert Credential.objects.get().pair.refresh == "refresh-2"
