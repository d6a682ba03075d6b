"""Waits on 127.0.0.1 for the one redirect that ends a login in a browser (RFC 8252, section 7.3)."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Self, TextIO
from urllib.parse import parse_qs, urlsplit

from django.core.management.base import CommandError
from django.utils.translation import gettext as _

_HOSTS = ("127.0.0.1", "localhost")
#: Not even an image is loaded, and no page learns the address of this one, which has the code.
_HEADERS = {
    "Content-Type": "text/plain; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Connection": "close",
}
#: How long a connection may take to send its request; browsers open some in advance, on which nothing comes.
_CONNECTION_SECONDS = 10.0


def port_of(redirect_uri: str) -> int | None:
    """Return the port of a redirect URI of this host, on which a command can listen; None for any other URI."""
    parts = urlsplit(redirect_uri)
    is_ours = parts.scheme == "http" and parts.hostname in _HOSTS
    return (parts.port or 80) if is_ours else None


class Loopback(ThreadingTCPServer):
    """Listens for a redirect to a URI of this host, until the block ends.

    Whatever is no answer of an authorization endpoint is answered with 404, such as a browser's wish for an icon, and
    a request that names another host with 400, as a page does whose name was made to lead here (DNS rebinding). So is
    what ``is_expected`` refuses, since any page in a browser can send an answer here. Raises CommandError if the port
    is in use.
    """

    daemon_threads = True
    allow_reuse_address = True
    timeout = 0  # of handle_request, which is called when there is a connection

    def __init__(self, redirect_uri: str, is_expected: Callable[[str], bool]) -> None:
        parts = urlsplit(redirect_uri)
        self.port = port_of(redirect_uri) or 0
        self.path = parts.path or "/"
        self.hosts = {f"{host}:{self.port}" for host in _HOSTS} | (set(_HOSTS) if self.port == 80 else set())
        self.is_expected, self.redirected = is_expected, ""
        self._woken, self._wake = socket.socketpair()
        try:
            super().__init__(("127.0.0.1", self.port), _Handler)
        except OSError as error:
            self._close_pair()
            text = _(
                "Port %(port)d of 127.0.0.1 can't be listened on (%(error)s); nothing was stored. "
                "Give another --port, and register its URL at the upstream."
            )
            raise CommandError(text % {"port": self.port, "error": error.strerror}) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.server_close()
        self._close_pair()

    def wait(self, seconds: float, typed: TextIO | None = None) -> str:
        """Return the URL of the redirect, or the line that a person typed in its place; "" after so many seconds."""
        until = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            if typed:
                selector.register(typed, selectors.EVENT_READ)
            while not self.redirected and (left := until - time.monotonic()) > 0:
                for key, _events in selector.select(left):
                    self._look_at(key.fileobj, typed, selector)
        return self.redirected

    def _look_at(self, source: object, typed: TextIO | None, selector: selectors.BaseSelector) -> None:
        if source is self:
            self.handle_request()
        elif source is typed and typed is not None:
            if line := typed.readline():
                self.redirected = self.redirected or line.strip()
            else:  # the end of the input
                selector.unregister(typed)

    def receive(self, redirected: str) -> None:
        """Take the first redirect, and wake whoever waits for it."""
        self.redirected = self.redirected or redirected
        with suppress(OSError):  # nobody waits any more
            self._wake.send(b"!")

    def handle_error(self, request: object, client_address: object) -> None:
        """Be silent about connections that break: the traceback would be of nobody's interest."""

    def _close_pair(self) -> None:
        self._woken.close()
        self._wake.close()


class _Handler(BaseHTTPRequestHandler):
    server: Loopback
    timeout = _CONNECTION_SECONDS

    def do_GET(self) -> None:
        if self.headers.get("Host", "") not in self.server.hosts:
            self._answer(400, _("This is not the host that you asked for."))
        elif not self._is_answer():
            self._answer(404, _("Nothing is here."))
        elif not self.server.is_expected(self.path):
            self._answer(400, _("This belongs to another login; the command goes on waiting for its own answer."))
        else:
            text = _("The answer has arrived. You can close this page; the command says whether the login worked.")
            self._answer(200, text)
            self.server.receive(self.path)

    def _is_answer(self) -> bool:
        parts = urlsplit(self.path)
        return parts.path == self.server.path and bool({"code", "error"} & parse_qs(parts.query).keys())

    def _answer(self, status: int, text: str) -> None:
        body = f"{text}\n".encode()
        self.send_response(status)
        for name, value in {**_HEADERS, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        return "upstream_login"

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the path has the code."""
