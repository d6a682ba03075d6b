"""A pytest plugin that puts our client in the place of Session, at whatever origin a test of requests' asks.

Loaded by its bare name, since the package of requests' tests is called ``tests`` as well.
"""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import django
import pytest
import requests
from django.conf import settings
from django.core.management import call_command

_FOLDER = tempfile.TemporaryDirectory()
_DATABASE = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(Path(_FOLDER.name) / "suite.sqlite3")}
settings.configure(
    SECRET_KEY="tests only",
    INSTALLED_APPS=["jwt_upstream"],
    DATABASES={"default": _DATABASE},
    JWT_UPSTREAM_ENCRYPTION_KEYS=["c2l4dGVlbiBieXRlcyBhbmQgc2l4dGVlbiBieXRlcyE="],
)
django.setup()

from jwt_upstream.client import UpstreamClient  # noqa: E402 -- needs the settings
from jwt_upstream.client.pool import pooled  # noqa: E402
from jwt_upstream.tokens import TokenPair  # noqa: E402

#: The upstream of a client before it has seen a URL with a host.
NOWHERE = "http://nowhere.invalid/"


class _TokenEndpoint(BaseHTTPRequestHandler):
    """Refreshes whatever it is sent."""

    url: str

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b'{"access": "a.b.%d", "refresh": "r"}' % id(self))

    def log_message(self, *_: Any) -> None:
        pass


class Client(UpstreamClient):
    """A client that is made without arguments, as a Session is, and turns to the origin of each URL."""

    upstream_options: dict[str, Any] = {}

    def __init__(self) -> None:
        super().__init__(_upstream_at(NOWHERE, self.upstream_options))

    def close(self) -> None:
        """Close the process's connections: some servers of the suite say nothing of it when they hang up."""
        super().close()
        pooled().close()

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        self._turn_to(request.url)
        return super().prepare_request(request)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        if not kwargs.get("is_hop"):
            self._turn_to(request.url)
        return super().send(request, **kwargs)

    def _turn_to(self, url: Any) -> None:
        text = url.decode() if isinstance(url, bytes) else str(url)
        try:
            parts = urlsplit(text.strip())
            if parts.scheme.lower() in {"http", "https"} and parts.hostname:
                port = f":{parts.port}" if parts.port else ""
                host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
                self.alias = _upstream_at(f"{parts.scheme.lower()}://{host}{port}/", self.upstream_options)
        except ValueError:
            pass  # the client has to say what is wrong with it


def _upstream_at(origin: str, options: dict[str, Any]) -> str:
    """Return the alias of the upstream at an origin, configured and logged in by now."""
    if origin not in settings.JWT_UPSTREAM:
        options = {"refresh_path": _TokenEndpoint.url, **options}
        configured: dict[str, Any] = settings.JWT_UPSTREAM
        configured[origin] = {"BASE_URL": origin, "OPTIONS": options}
        UpstreamClient(origin).adopt(TokenPair("a.b.c", "r"))
    return origin


def _differences() -> Iterator[tuple[str, str]]:
    """Yield each test that differs, with the reason above it."""
    reason = ""
    for line in Path(__file__).with_name("differences.txt").read_text().splitlines():
        if line.startswith("tests/"):
            yield line, reason
        else:
            reason = line


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Expect the failures that are listed, and no others: a test that passes against its listing is a failure."""
    differences = dict(_differences())
    for item in items:
        reason = differences.get(item.nodeid, "")
        if reason.startswith("keep_cookies: "):
            item.add_marker(pytest.mark.options(keep_cookies=True))
        elif reason:
            item.add_marker(pytest.mark.xfail(reason=reason, strict=True))


@pytest.fixture(scope="session", autouse=True)
def our_client_everywhere() -> Iterator[None]:
    """Put the client where the suite looks for Session."""
    call_command("migrate", verbosity=0)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _TokenEndpoint)
    _TokenEndpoint.url = f"http://127.0.0.1:{server.server_port}/"
    Thread(target=server.serve_forever, daemon=True).start()
    requests.Session = requests.sessions.Session = Client  # type: ignore[misc]
    yield
    server.shutdown()


@pytest.fixture(scope="session", autouse=True)
def tarpit() -> Iterator[str]:
    """An address at which nobody accepts a connection: the suite's is one that some networks answer for."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, ExitStack() as stack:
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture(autouse=True)
def upstreams(request: pytest.FixtureRequest, tarpit: str) -> None:
    """Begin each test without upstreams, with the options that it is listed with."""
    settings.JWT_UPSTREAM = {}
    marker = request.node.get_closest_marker("options")
    Client.upstream_options = dict(marker.kwargs) if marker else {}
    if hasattr(request.module, "TARPIT"):
        request.module.TARPIT = tarpit
