"""A small real HTTP upstream: rotating single-use refresh tokens with reuse detection, and answers on demand."""

from __future__ import annotations

import itertools
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self, cast
from urllib.parse import urlsplit

from django.db import connections

_ASKING = {"/login", "/refresh"}


@dataclass
class Answer:
    """What the upstream sends: a JSON value or bytes, or ``raw`` bytes in place of all of HTTP."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0


@dataclass
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def token(self) -> str:
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    @property
    def route(self) -> str:
        """The path alone, which a proxy is given with the host before it."""
        return urlsplit(self.path).path

    def json(self) -> Any:
        return json.loads(self.body)


class _Server(ThreadingHTTPServer):
    # More than the usual five at the same moment, whom a busy machine would reset.
    request_queue_size = 128
    daemon_threads = True

    def serve(self) -> None:
        """Serve until the socket is shut down; ``serve_forever`` would look up every few milliseconds."""
        with suppress(OSError):
            while True:
                self.process_request(*self.get_request())


class Upstream:
    """Logs in at ``login``, refreshes at ``refresh``, guards every other path with the access token.

    ``answers[path]`` overrides the answer of a path: an Answer, or a function of the request which returns one or
    None. A refresh token used twice revokes everything (``reuses`` counts). Answers say ``lifetime``,
    if it is given; tokens end after ``lasts`` seconds.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.answers: dict[str, Answer | Callable[[Seen], Answer | None]] = {}
        self.seen: list[Seen] = []
        self.access: set[str] = set()
        self.refresh = ""
        self.spent: set[str] = set()
        self.reuses = 0
        self.connections = 0
        #: Those that are open, and end with the server.
        self.open: set[socket.socket] = set()
        self.refresh_delay = 0.0
        #: Refuse a bad token before the body came, and hang up.
        self.hangs_up = False
        #: Keep the length and SHA-256 of bodies in place of the bodies.
        self.digests = False
        self.lifetime: float | None = None
        self.lasts = float("inf")
        self.rotated_at: list[float] = []
        self.user, self.password = "bob", "correct horse"
        self._numbers = itertools.count(1)
        self._ends_at = float("inf")
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._scheme = "https" if context else "http"
        if context:
            # The handshake comes with the first read, in each connection's own thread.
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        with suppress(OSError):  # a test may have ended it by now
            self._server.socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._server.server_close()
        for connection in list(self.open):
            with suppress(OSError):  # the client was faster
                connection.shutdown(socket.SHUT_RDWR)

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}/"

    def issue(self) -> dict[str, Any]:
        """Make a new pair, the only good one."""
        number = next(self._numbers)
        self.access = {f"access-{number}"}
        self._ends_at = time.monotonic() + self.lasts
        self.refresh = f"refresh-{number}"
        return {"access": f"access-{number}", "refresh": self.refresh, **self._lifetime()}

    def _lifetime(self) -> dict[str, Any]:
        return {} if self.lifetime is None else {"expires_in": self.lifetime}

    def expire(self) -> None:
        """Let no access token be good any more."""
        self.access = set()

    def calls(self, path: str) -> list[Seen]:
        """Return the requests for a path, in order."""
        return [seen for seen in self.seen if seen.path.partition("?")[0] == path]

    def pop_tokens(self) -> list[tuple[str, str]]:
        """Return the path and the token of each request since the last time."""
        seen, self.seen = self.seen, []
        return [(each.path, each.token) for each in seen]

    @property
    def refreshes(self) -> int:
        return sum(seen.route == "/refresh" for seen in self.seen)

    def answer(self, seen: Seen) -> Answer:
        with self._lock:
            self.seen.append(seen)
        override = self.answers.get(seen.path.partition("?")[0])
        try:
            answer = override(seen) if callable(override) else override
        finally:
            connections.close_all()  # an override may have used the database, in this thread
        if answer is not None:
            return answer
        if seen.route == "/login":
            return self._login(seen)
        return self._refresh(seen) if seen.route == "/refresh" else self._call(seen)

    def _login(self, seen: Seen) -> Answer:
        if (seen.json()["username"], seen.json()["password"]) != (self.user, self.password):
            return Answer(401, {"detail": "No active account found with the given credentials"})
        with self._lock:
            return Answer(200, self.issue())

    def _refresh(self, seen: Seen) -> Answer:
        time.sleep(self.refresh_delay)
        used = seen.json()["refresh"]
        with self._lock:
            if used in self.spent:
                self.reuses += 1
                self.refresh, self.access = "", set()
            if used != self.refresh:
                return Answer(401, {"detail": "Token is invalid or expired", "code": "token_not_valid"})
            self.spent.add(used)
            self.rotated_at.append(time.time())
            return Answer(200, self.issue())

    def _call(self, seen: Seen) -> Answer:
        if seen.token not in self.access or time.monotonic() >= self._ends_at:
            return Answer(401, {"detail": "Given token not valid", "code": "token_not_valid"})
        return Answer(200, {"path": seen.path, "token": seen.token})


def hang_up(_: Seen) -> Answer | None:
    """Close the connection, in place of an answer."""
    raise ConnectionAbortedError


def _handler(upstream: Upstream) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def setup(self) -> None:
            upstream.connections += 1
            upstream.open.add(self.connection_to_client)
            super().setup()

        def finish(self) -> None:
            upstream.open.discard(self.connection_to_client)
            with suppress(OSError):
                super().finish()

        @property
        def connection_to_client(self) -> socket.socket:
            return cast(socket.socket, self.request)

        def handle(self) -> None:
            with suppress(OSError):  # a client that is gone, or doesn't trust us
                super().handle()

        def _respond(self) -> None:
            if upstream.hangs_up and self.path not in _ASKING and not self._is_good():
                self._hang_up()
            else:
                self._answer()

        def _answer(self) -> None:
            answer = upstream.answer(Seen(self.command, self.path, self._headers(), self._body()))
            time.sleep(answer.delay)
            content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)
            self.wfile.flush()

        def handle_expect_100(self) -> bool:
            # What a bad token would not get: the question is answered with 401 in its place.
            if upstream.hangs_up and not self._is_good():
                return True
            return super().handle_expect_100()

        def _headers(self) -> Mapping[str, str]:
            # A Message is a Mapping in all but name, whose keys have no case.
            return cast(Mapping[str, str], self.headers)

        def _is_good(self) -> bool:
            return self.headers.get("Authorization", "").removeprefix("Bearer ") in upstream.access

        def _hang_up(self) -> None:
            upstream.seen.append(Seen(self.command, self.path, self._headers(), b""))
            self.close_connection = True
            self.wfile.write(b"HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")
            self.wfile.flush()

        def _body(self) -> bytes:
            if not upstream.digests or self.path in _ASKING:
                return b"".join(self._pieces())
            length, digest = 0, sha256()
            for piece in self._pieces():
                length += len(piece)
                digest.update(piece)
            return f"{length} {digest.hexdigest()}".encode()

        def _pieces(self) -> Iterator[bytes]:
            if self.headers.get("Transfer-Encoding") == "chunked":
                yield from iter(self._chunk, b"")
            left = int(self.headers.get("Content-Length", 0))
            while left:
                piece = self.rfile.read(min(left, 1 << 20))
                if not piece:  # a process that was killed between the headers and the body has sent no request
                    raise ConnectionAbortedError
                left -= len(piece)
                yield piece

        def _chunk(self) -> bytes:
            chunk = self.rfile.read(int(self.rfile.readline(), 16))
            self.rfile.readline()
            return chunk

        def log_message(self, format: str, *args: Any) -> None:
            pass

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _respond
        do_PROPFIND = _respond  # WebDAV

    return Handler
