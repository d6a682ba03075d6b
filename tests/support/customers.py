"""Customers of three upstreams, at places of their own on one server, and processes that call for all of them.

The processes are ``python -m tests.support.customers``.
"""

from __future__ import annotations

import itertools
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from tests.support import workers
from tests.support.upstream import Answer, Seen, Upstream

#: Names the worker that calls, in a header.
WORKER = "X-Worker"
ALIASES = ("shop", "regional", "clients")
_REGIONS = ("eu", "us", "ap")


def resolved(look_up: Callable[..., Any], host: Any, *args: Any, **kwargs: Any) -> Any:
    """Look up a host, where all names below localhost are this machine, as RFC 6761 has it and not every system."""
    return look_up("127.0.0.1" if str(host).endswith(".localhost") else host, *args, **kwargs)


class Customer(NamedTuple):
    """One that has an account, and where the server expects its calls: at a host, below a path."""

    alias: str
    name: str
    host: str
    path: str
    parameters: Mapping[str, str]
    secrets: Mapping[str, str]


def customer(number: int) -> Customer:
    """Return one of a subdomain, of a region or of a client of its own, by turns."""
    alias, name = ALIASES[number % 3], f"customer-{number}"
    host, path, secret = f"{alias}.localhost", "", f"secret of {name}"
    if alias == "shop":
        return Customer(alias, name, f"{name}.localhost", path, {"subdomain": name}, {"login_password": secret})
    if alias == "clients":
        return Customer(alias, name, host, path, {"client": name}, {"client_secret": secret})
    region = _REGIONS[number // 3 % 3]
    return Customer(
        alias, name, host, f"/{region}", {"region": region, "login_name": name}, {"login_password": secret}
    )


def upstreams(server: Upstream) -> dict[str, Any]:
    """Return settings: three upstreams for all customers, however many there are."""
    port = server.url.rpartition(":")[2]  # with a slash
    by_password = {"BACKEND": "jwt_upstream.backends.Backend", "OPTIONS": {}}
    return {
        "shop": {
            **by_password,
            "BASE_URL": f"http://{{subdomain}}.localhost:{port}",
            "LOGIN": {"username": "{subdomain}", "password": "{login_password}"},
            "ACCOUNTS": {"parameters": ["subdomain"], "secrets": ["login_password"]},
        },
        "regional": {
            **by_password,
            "BASE_URL": f"http://regional.localhost:{port}{{region}}/",
            "LOGIN": {"username": "{login_name}", "password": "{login_password}"},
            "ACCOUNTS": {"parameters": ["region", "login_name"], "secrets": ["login_password"]},
        },
        "clients": {
            "BACKEND": "jwt_upstream.backends.OAuth2Backend",
            "BASE_URL": f"http://clients.localhost:{port}",
            "OPTIONS": {
                "grant_type": "client_credentials",
                "login_path": "login",
                "client_id": "{client}",
                "client_secret": "{client_secret}",
                "client_authentication": "post",
            },
            "ACCOUNTS": {"parameters": ["client"], "secrets": ["client_secret"]},
        },
    }


class CustomersServer(Upstream):
    """Logs customers in at their own places, and guards ``orders/NAME`` there; anything else is ``stray``."""

    def __init__(self) -> None:
        super().__init__()
        self.customers: dict[str, Customer] = {}
        self.logins: Counter[str] = Counter()
        self.stray: list[Seen] = []
        #: Which workers were served for which customers.
        self.served: set[tuple[str, str]] = set()
        self._owners: dict[str, str] = {}
        self._numbers_of_tokens = itertools.count()

    def answer(self, seen: Seen) -> Answer:
        path, _, last = seen.route.rpartition("/")
        place = seen.headers["Host"].partition(":")[0], path.removesuffix("/orders")
        name = self._logged_in(seen, place) if last == "login" else self._called(seen, place, last)
        if name is None:
            self.stray.append(seen)
            return Answer(401, {"error": "invalid_client"})
        if last != "login":
            return Answer(200, {"name": name})
        self._owners[token := f"{name}'s token {next(self._numbers_of_tokens)}".replace(" ", "-")] = name
        return Answer(200, {"access": token, "access_token": token, "expires_in": 3600})

    def _logged_in(self, seen: Seen, place: tuple[str, str]) -> str | None:
        is_form = "form" in seen.headers["Content-Type"]
        values: dict[str, str] = dict(parse_qsl(seen.body.decode())) if is_form else seen.json()
        name, secret = (values.get(key) or values[other] for key, other in _LOGIN_FIELDS)
        known = self.customers.get(name)
        if known is None or (known.host, known.path) != place or secret not in known.secrets.values():
            return None
        self.logins[name] += 1
        return known.name

    def _called(self, seen: Seen, place: tuple[str, str], name: str) -> str | None:
        known = self.customers.get(name)
        if known is None or (known.host, known.path) != place or self._owners.get(seen.token) != name:
            return None
        self.served.add((seen.headers[WORKER], name))
        return name


_LOGIN_FIELDS = (("username", "client_id"), ("password", "client_secret"))


def call_for_all(worker: str, stopped: threading.Event) -> list[str]:
    """Call for each account that is stored, again and again, as requests of customers come; return what failed."""
    from django.db import connections

    from jwt_upstream.client import UpstreamClient
    from jwt_upstream.models import Credential

    failed = []
    try:
        while not stopped.is_set():
            for alias, name in Credential.objects.values_list("upstream", "account"):
                client = UpstreamClient(alias, name)
                response = client.get(f"orders/{name}", headers={WORKER: worker}, timeout=workers.FOREVER)
                if response.status_code != 200:
                    failed.append(f"{alias}/{name}: {response.status_code}")
                if stopped.is_set():
                    break
    except Exception as error:
        failed.append(repr(error))
    finally:
        connections.close_all()
    return failed


def serve(worker: str, threads: int) -> list[str]:
    """Be a worker until a line comes; return what failed."""
    socket.getaddrinfo = partial(resolved, socket.getaddrinfo)
    stopped = threading.Event()
    with ThreadPoolExecutor(threads) as pool:
        running = [pool.submit(call_for_all, worker, stopped) for _ in range(threads)]
        sys.stdin.readline()
        stopped.set()
        return [each for future in running for each in future.result()]


if __name__ == "__main__":
    workers.main(globals())
