"""Customers with hosts, paths and clients of their own, who come while a fleet of processes runs."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from jwt_upstream.client import UpstreamClient
from jwt_upstream.models import Credential
from tests.support import workers
from tests.support.customers import Customer, CustomersServer, call_for_all, customer, resolved, upstreams

CUSTOMERS = 200


@pytest.fixture
def server(settings: Any, monkeypatch: pytest.MonkeyPatch, transactional_db: None) -> Iterator[CustomersServer]:
    """A server that all hosts below localhost lead to, at which three upstreams are configured."""
    monkeypatch.setattr(socket, "getaddrinfo", partial(resolved, socket.getaddrinfo))
    with CustomersServer() as server:
        settings.JWT_UPSTREAM = upstreams(server)
        yield server


def sign_up(server: CustomersServer, customers: Iterable[Customer]) -> None:
    """Have the server know customers, and store a row for each."""
    for each in customers:
        server.customers[each.name] = each
        UpstreamClient.register(each.alias, each.name, parameters=each.parameters, secrets=each.secrets)


def wait_for(server: CustomersServer, fleet: list[str], customers: Iterable[Customer]) -> None:
    """Wait until each worker was served for each of these customers."""
    for each in customers:
        workers.until(lambda name=each.name: {(worker, name) for worker in fleet} <= server.served)  # type: ignore[misc]


def test_new_customers(server: CustomersServer) -> None:
    """Running threads serve customers who come later, each at its own place with its own token, after one login."""
    first, new, stopped = list(map(customer, range(3))), list(map(customer, range(3, 6))), threading.Event()
    sign_up(server, first)
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(call_for_all, worker, stopped) for worker in "ab"]
        try:
            wait_for(server, ["a", "b"], first)
            sign_up(server, new)
            wait_for(server, ["a", "b"], new)
        finally:
            stopped.set()
    assert [future.result() for future in running] == [[], []]
    assert (server.stray, set(server.logins.values()), len(server.logins)) == ([], {1}, 6)


@pytest.mark.slow
def test_fleet(server: CustomersServer) -> None:
    """200 customers of three upstreams are served by 2 processes × 4 threads, and each new one at its first call."""
    first, new = list(map(customer, range(CUSTOMERS))), list(map(customer, range(CUSTOMERS, CUSTOMERS + 3)))
    sign_up(server, first)
    names = ["a", "b"]
    fleet = [workers.start("serve", "tests.support.customers", worker=name, threads=4) for name in names]
    workers.await_ready(*fleet)
    workers.go_on(*fleet)
    wait_for(server, names, first)
    for each in new:
        sign_up(server, [each])
        wait_for(server, names, [each])
    workers.go_on(*fleet)  # which ends them
    assert [workers.finish(each) for each in fleet] == [[], []]
    assert server.stray == []
    assert dict(server.logins) == {each.name: 1 for each in [*first, *new]}
    assert Credential.objects.filter(state="active").count() == CUSTOMERS + 3
