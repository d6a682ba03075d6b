"""A client that was made and used before a fork: parent and child share neither a connection nor a lock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from django.db import connections
from requests import Request, Response
from requests.adapters import BaseAdapter, HTTPAdapter
from requests_toolbelt.adapters.source import SourceAddressAdapter

from jwt_upstream.backends import Backend, get_backend
from jwt_upstream.client import UpstreamClient
from jwt_upstream.client.pool import pooled
from tests.support import forks
from tests.support.raw_server import self_signed
from tests.support.rows import unbind
from tests.support.upstream import Answer, Seen, Upstream

FILES = Path("/proc/self/fd")


class Heard:
    """Which processes the upstream hears on each of its connections; it has a thread for each."""

    def __init__(self, upstream: Upstream) -> None:
        self._by_connection: dict[threading.Thread, set[str]] = {}
        upstream.answers["/orders/"] = self._answer

    def _answer(self, seen: Seen) -> Answer:
        name = seen.headers["X-Process"]
        self._by_connection.setdefault(threading.current_thread(), set()).add(name)
        return Answer(200, {"process": name})

    def __call__(self) -> list[list[str]]:
        return sorted(map(sorted, self._by_connection.values()))


def calls(client: UpstreamClient, name: str, number: int = 20) -> bool:
    """Call several times; tell whether each answer was the one to the own call."""
    headers = {"X-Process": name}
    return all(client.get("orders/", headers=headers).json() == {"process": name} for _ in range(number))


@contextmanager
def held_by_another_thread(lock: Any) -> Iterator[None]:
    """Let another thread have the lock, which thus nobody has in a child that is forked meanwhile."""
    has_it, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            has_it.set()
            may_end.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    has_it.wait(60)
    try:
        yield
    finally:
        may_end.set()
        thread.join()


def cookies_lock(client: UpstreamClient, _: Upstream) -> Any:
    """The lock of a client's cookies, which every call takes."""
    return cast(Any, client.cookies)._cookies_lock


def idle_connections_lock(client: UpstreamClient, upstream: Upstream) -> Any:
    """The lock of the connections that this process keeps to the upstream, which every call takes."""
    request = Request("GET", upstream.url).prepare()
    return cast(Any, pooled().get_connection_with_tls_context(request, True)).pool.mutex


@pytest.mark.parametrize("lock_of", [cookies_lock, idle_connections_lock])
def test_lock_that_a_thread_holds_at_the_fork(
    client: UpstreamClient, upstream: Upstream, lock_of: Callable[..., Any]
) -> None:
    """A child calls although a thread of its parent was in the middle of a call when it was forked."""
    client.get("orders/")
    connections.close_all()
    with held_by_another_thread(lock_of(client, upstream)):
        child = forks.in_child(lambda: client.get("orders/").json()["token"])
        assert child() == "access-1"
    assert client.get("orders/").json()["token"] == "access-1"


@pytest.mark.parametrize("adapter", [HTTPAdapter(pool_maxsize=3), SourceAddressAdapter("127.0.0.1")])
def test_adapter_that_the_caller_mounted(client: UpstreamClient, upstream: Upstream, adapter: BaseAdapter) -> None:
    """An adapter of the caller's own, as its settings are, has other connections in a child than in the parent."""
    heard = Heard(upstream)
    client.mount(upstream.url, adapter)
    assert calls(client, "parent")
    connections.close_all()
    child = forks.in_child(lambda: calls(client, "child"))
    assert calls(client, "parent")
    assert child() is True
    assert calls(client, "parent")
    assert heard() == [["child"], ["parent"]]
    assert client.get_adapter(upstream.url) is adapter


def test_cookies_that_the_client_keeps(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """A child goes on with the cookies, of which it keeps its own from then on."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["keep_cookies"] = True
    keeping = UpstreamClient("up")
    upstream.answers["/cookie/"] = Answer(200, {}, {"Set-Cookie": "seen=parent; Path=/"})
    keeping.get("cookie/")
    connections.close_all()

    def call() -> list[str]:
        keeping.get("orders/")
        keeping.cookies.set("own", "child")
        return sorted(keeping.cookies.keys())

    assert forks.in_child(call)() == ["own", "seen"]
    assert keeping.cookies.keys() == ["seen"]
    assert [seen.headers.get("Cookie") for seen in upstream.calls("/orders/")] == ["seen=parent"]


def test_grandchildren(client: UpstreamClient, upstream: Upstream) -> None:
    """Three generations that call at the same time share no connection, whoever forked them."""
    heard = Heard(upstream)

    def of_child() -> bool:
        is_right = calls(client, "child")
        connections.close_all()
        grandchild = forks.in_child(lambda: calls(client, "grandchild"))
        return calls(client, "child") and grandchild() and is_right

    assert calls(client, "parent")
    connections.close_all()
    child = forks.in_child(of_child)
    assert calls(client, "parent")
    assert child() is True
    assert heard() == [["child"], ["grandchild"], ["parent"]]


def test_tls(client: UpstreamClient, settings: Any, tmp_path: Path) -> None:
    """Over TLS a child has connections of its own as well, and its end does not close the parent's."""
    with Upstream(self_signed(tmp_path)) as upstream:
        settings.JWT_UPSTREAM["up"]["BASE_URL"] = upstream.url
        settings.JWT_UPSTREAM["up"]["OPTIONS"]["verify"] = str(tmp_path / "certificate.pem")
        unbind()
        heard, over_tls = Heard(upstream), UpstreamClient("up")
        assert calls(over_tls, "parent")
        connections.close_all()
        child = forks.in_child(lambda: calls(over_tls, "child"))
        assert calls(over_tls, "parent")
        assert child() is True
        assert calls(over_tls, "parent")
        assert heard() == [["child"], ["parent"]]


@pytest.mark.skipif(not FILES.exists(), reason="needs /proc")
def test_child_closes_its_copies(client: UpstreamClient, upstream: Upstream) -> None:
    """With its first call a child closes its copies of the parent's connections, which lets the parent end them."""
    are_here = threading.Barrier(4)
    upstream.answers["/together/"] = lambda _: Answer(200, {"by": are_here.wait(60)})
    with ThreadPoolExecutor(4) as threads:
        responses = list(threads.map(lambda _: called(UpstreamClient("up")), range(4)))
    connections.close_all()
    inherited = sockets()

    def call() -> int:
        client.get("orders/")
        return sockets()

    assert forks.in_child(call)() <= inherited - 4 + 1 + has_socket(connections["default"].vendor)
    before = upstream.connections
    assert client.get("orders/").status_code == 200
    assert upstream.connections == before
    assert all(response.ok for response in responses)


def called(client: UpstreamClient) -> Response:
    """Call in a thread that ends; the response is kept, as a cache may."""
    response = client.get("together/")
    connections.close_all()
    return response


def sockets() -> int:
    """Count the sockets that this process has open."""
    return sum("socket:" in str(each.readlink()) for each in FILES.iterdir() if each.is_symlink())


def has_socket(vendor: str) -> bool:
    """Tell whether a database is reached by a socket."""
    return vendor != "sqlite"


def test_backend_that_a_thread_is_reading_at_the_fork(client: UpstreamClient, upstream: Upstream) -> None:
    """A child builds its own backend although a thread of its parent was just building one when it was forked."""
    is_building, may_end = threading.Event(), threading.Event()

    class Slow(Backend):
        @property
        def base_url(self) -> str:
            if threading.current_thread() is not threading.main_thread():
                is_building.set()
                may_end.wait(60)
            return upstream.url

        @base_url.setter
        def base_url(self, _: str) -> None:
            pass

    thread = threading.Thread(target=lambda: Slow("up", upstream.url).origin)
    thread.start()
    assert is_building.wait(60)
    connections.close_all()
    try:
        assert forks.in_child(lambda: str(get_backend("up").origin))() == upstream.url.rstrip("/")
    finally:
        may_end.set()
        thread.join()
