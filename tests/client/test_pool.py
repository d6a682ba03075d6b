"""The process's connections: few, whatever the number of clients, and never a parent's and its child's at once."""

from __future__ import annotations

import io
import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import requests
from django.db import connections
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3 import Retry

from jwt_upstream.client import UpstreamClient
from jwt_upstream.client.pool import BorrowingAdapter, for_this_process, pooled
from jwt_upstream.exceptions import BodyNotReplayable
from jwt_upstream.tokens import TokenPair
from tests.support.rows import unbind
from tests.support.upstream import Answer, Seen, Upstream


@pytest.mark.slow
def test_many_clients_one_after_the_other(client: UpstreamClient, upstream: Upstream) -> None:
    """A thousand calls of a thousand clients take one connection, a refresh in their middle another one."""
    before = upstream.connections
    for number in range(1000):
        if number == 500:
            upstream.expire()
        with UpstreamClient("up") as each:
            assert each.get("orders/").status_code == 200
    assert len(upstream.calls("/orders/")) == 1001
    assert upstream.refreshes == 1
    assert upstream.connections - before <= 2  # the calls', and the refresh's if the login's was not kept


def test_answers_of_all_kinds(client: UpstreamClient, upstream: Upstream) -> None:
    """The connection is used again after errors, redirects and refusals with a body, read or not by the caller."""
    before = upstream.connections
    upstream.answers["/old/"] = Answer(302, b"x" * 1000, {"Location": "/orders/"})
    upstream.answers["/broken/"] = Answer(500, b"x" * 100_000)
    upstream.answers["/never/"] = Answer(401, b"x" * 50_000)
    for path in ("old/", "broken/", "never/", "orders/", "never/", "orders/"):
        client.get(path)
    client.head("orders/")
    client.post("orders/", data=b"x" * 200_000)
    assert upstream.refreshes == 1
    assert upstream.connections - before <= 2  # the calls', and the refresh's if the login's was not kept


def test_threads(client: UpstreamClient, upstream: Upstream) -> None:
    """Eight threads, each with many clients, take at most eight."""
    before = upstream.connections

    def call(_: int) -> int:
        try:
            return UpstreamClient("up").get("orders/").status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(call, range(200))) == {200}
    assert upstream.connections - before <= 8


def test_body_that_can_be_sent_only_once(client: UpstreamClient, upstream: Upstream) -> None:
    """The 401 that an error hands to the caller was read, so its connection is free, read by the caller or not."""
    client.get("orders/")
    before = upstream.connections
    upstream.expire()
    upstream.answers["/refused/"] = Answer(401, {"detail": "x" * 20_000})
    with pytest.raises(BodyNotReplayable) as caught:
        client.post("refused/", data=iter([b"once"]), stream=True)
    client.get("orders/")
    assert upstream.connections - before <= 1  # the refresh's
    assert caught.value.response is not None
    assert caught.value.response.json() == {"detail": "x" * 20_000}


def test_shared_client(client: UpstreamClient, upstream: Upstream) -> None:
    """Sixteen threads share a client while it refreshes: each gets the answer to its own body, sent again whole."""
    upstream.expire()
    upstream.refresh_delay = 0.3
    upstream.answers["/echo/"] = lambda seen: (
        Answer(200, seen.body, {"X-Number": seen.headers["X-Number"]}) if seen.token in upstream.access else None
    )
    may_begin = threading.Barrier(16)

    def call(number: int) -> bool:
        body = f"body of {number} ".encode() * 1000 * (number + 1)
        may_begin.wait(20)
        try:
            given = io.BytesIO(body) if number % 2 else body
            response = client.put("echo/", data=given, headers={"X-Number": str(number)})
        finally:
            connections.close_all()
        assert (response.status_code, response.headers["X-Number"]) == (200, str(number))
        return response.content == body and response.request.headers["X-Number"] == str(number)

    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(call, range(16)))
    assert (upstream.refreshes, upstream.reuses) == (1, 0)


def test_upstreams_and_accounts_share(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """Accounts, and upstreams at one host, use the same connections, each with its own token."""
    settings.JWT_UPSTREAM["same"] = settings.JWT_UPSTREAM["up"]
    before = upstream.connections
    for number, (alias, account) in enumerate([("up", "ann"), ("same", "default"), ("same", "bob")]):
        each = UpstreamClient(alias, account)
        each.adopt(TokenPair(f"token-{number}"))
        upstream.access.add(f"token-{number}")
        assert each.get("orders/").json()["token"] == f"token-{number}"
    assert upstream.connections - before == 1


def test_forks(client: UpstreamClient, upstream: Upstream, tmp_path: Path) -> None:
    """A forked child uses no connection of its parent's or of another child's, while all three are calling."""
    heard: dict[threading.Thread, set[str]] = {}

    def answer(seen: Seen) -> Answer:
        # The server has a thread for each connection.
        heard.setdefault(threading.current_thread(), set()).add(seen.headers["X-Process"])
        return Answer(200, {"process": seen.headers["X-Process"]})

    upstream.answers["/orders/"] = answer

    def call(name: str) -> bool:
        return all(client.get("orders/", headers={"X-Process": name}).json() == {"process": name} for _ in range(20))

    assert call("before")
    children = []
    for name in ("one", "two"):
        child = os.fork()
        if not child:  # pragma: no cover -- measured in the parent only
            status = 1
            try:
                status = 0 if call(name) else 2
            finally:
                os._exit(status)
        children.append(child)
    assert call("parent")
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    assert call("after")
    assert sorted(map(sorted, heard.values())) == [["after", "before", "parent"], ["one"], ["two"]]


def test_proxies_of_a_child(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """Connections to a proxy aren't inherited either."""
    settings.JWT_UPSTREAM["up"] |= {"BASE_URL": "http://api.x/"}
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["proxies"] = {"http": upstream.url}
    unbind()
    before = upstream.connections
    assert UpstreamClient("up").get("orders/").status_code == 200
    child = os.fork()
    if not child:  # pragma: no cover -- measured in the parent only
        os._exit(0 if UpstreamClient("up").get("orders/").status_code == 200 else 2)
    assert os.waitpid(child, 0)[1] == 0
    assert UpstreamClient("up").get("orders/").status_code == 200
    assert upstream.connections - before == 2


def test_proxy(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """Calls through a proxy keep their connection."""
    settings.JWT_UPSTREAM["up"]["BASE_URL"] = "http://api.x/"
    unbind()
    before = upstream.connections
    for _ in range(10):
        assert UpstreamClient("up").get("orders/", proxies={"http": upstream.url}).status_code == 200
    assert upstream.connections - before == 1


def test_server_that_closed_an_idle_connection(client: UpstreamClient, upstream: Upstream) -> None:
    """What the upstream closed meanwhile is replaced without a word, as in requests."""
    upstream.answers["/last/"] = Answer(200, {}, {"Connection": "close"})
    for _ in range(3):
        assert client.get("last/").status_code == 200
        assert client.post("orders/", data=iter([b"once"])).status_code == 200


def test_connection_of_a_call_that_failed(client: UpstreamClient, upstream: Upstream) -> None:
    """An answer that comes too late is nobody else's."""
    upstream.answers["/slow/"] = Answer(200, {"late": True}, delay=0.4)
    with pytest.raises(requests.ReadTimeout):
        client.get("slow/", timeout=0.1)
    assert client.get("orders/").json()["token"] == "access-1"


def test_settings_of_one_clients_adapter(client: UpstreamClient, upstream: Upstream) -> None:
    """What somebody sets at a client's adapter holds for that client, and costs nobody a connection."""
    client.get("orders/")
    before = upstream.connections
    adapter = client.get_adapter(upstream.url)
    assert isinstance(adapter, HTTPAdapter)
    assert adapter is not UpstreamClient("up").get_adapter(upstream.url)
    # As FuturesSession of requests-futures does with a session that it is given.
    adapter.init_poolmanager(connections=50, maxsize=50)
    adapter.max_retries = Retry(2, status_forcelist=[500], raise_on_status=False)
    upstream.answers["/broken/"] = Answer(500, b"")
    assert client.get("broken/").status_code == 500
    assert len(upstream.calls("/broken/")) == 3
    assert UpstreamClient("up").get("broken/").status_code == 500
    assert len(upstream.calls("/broken/")) == 4
    client.close()
    assert upstream.connections == before


def test_pools_that_are_remembered() -> None:
    """Which pool a call takes is found out once; it is the one that requests finds, whatever the call has besides."""
    adapter, request = pooled(), requests.Request("GET", "https://user:pw@up.example.com/a?b").prepare()
    proxies = {"https": "http://proxy.example:3128"}
    found = []
    for verify, through, cert in product((False, 0, 1, True, "a"), ({}, proxies), (None, "both", ("cert", "key"))):
        how: dict[str, Any] = {"verify": verify, "proxies": through, "cert": cert}
        pool = HTTPAdapter.get_connection_with_tls_context(adapter, request, **how)
        assert BorrowingAdapter().get_connection_with_tls_context(request, **how) is pool
        assert adapter.get_connection_with_tls_context(request, **how) is pool
        found.append(pool)
    assert len(set(found)) == 18  # as requests does, to which 0, 1 and True are the same
    assert "pw" not in repr(adapter._found)


def test_pools_that_are_dropped(client: UpstreamClient, upstream: Upstream) -> None:
    """A pool of the process that was dropped is not used again, even if an answer still has it."""
    response = client.get("orders/")
    before = upstream.connections
    pooled().close()
    assert client.get("orders/").raw._pool is not response.raw._pool
    assert upstream.connections == before + 1


def test_many_origins() -> None:
    """However many hosts are called, the memory of their pools is bounded, and a pool that is in use stays."""
    adapter = pooled()
    often = requests.Request("GET", "http://often.example/").prepare()
    pool = adapter.get_connection_with_tls_context(often, True)
    for number in range(300):
        request = requests.Request("GET", f"http://{number}.example/").prepare()
        adapter.get_connection_with_tls_context(request, True)
        assert adapter.get_connection_with_tls_context(often, True) is pool
    assert len(adapter._found) <= 50


def test_adapter_that_is_pickled(client: UpstreamClient) -> None:
    """An adapter of a client can be pickled as any adapter can, and holds no connection."""
    adapter = pickle.loads(pickle.dumps(client.get_adapter("https://up.example.com/")))
    client.mount("http://", adapter)
    assert client.get("orders/").status_code == 200


def test_adapter_that_is_not_of_requests(client: UpstreamClient) -> None:
    """An adapter of somebody's own, of which nothing is known, goes along into a child as it is."""
    adapter = BaseAdapter()
    assert for_this_process(adapter) is adapter
