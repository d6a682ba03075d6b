"""The upstreams that are called, each in a process of its own: fast ones, a slow one, one which rotates tokens."""

from __future__ import annotations

import asyncio
import json
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

#: How long the slow one takes for a refresh.
REFRESH_SECONDS = 0.5
_TOKENS = {"access_token": f"eyJ.{'a' * 400}.sig", "refresh_token": "r" * 64, "expires_in": 3600}


@contextmanager
def running(kind: str) -> Iterator[str]:
    """Start the "fast", the "counting", the "slow" or the "rotating" one and give its URL."""
    command = [sys.executable, "-m", "benchmarks.upstreams", kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}/"
        finally:
            server.kill()


def fast() -> None:
    """Answer every GET with the same JSON, every POST with the same tokens; HTTP is hardly looked at."""

    tokens = _answer(_TOKENS)
    _serve(lambda received: _ORDER if received.startswith(b"GET") else tokens)


def counting() -> None:
    """Rotate every refresh token that is shown, and count those that were shown before; GET tells the numbers."""
    spent: set[bytes] = set()
    counts = {"refreshes": 0, "twice": 0}

    def respond(received: bytes) -> bytes:
        if received.startswith(b"GET"):
            return _answer(counts)
        token = received.rpartition(b"refresh_token=")[2].partition(b"&")[0]
        counts["refreshes"] += 1
        counts["twice"] += token in spent
        spent.add(token)
        return _answer({**_TOKENS, "refresh_token": f"{token.decode()}+"})

    _serve(respond)


def _answer(body: Any, status: str = "200 OK") -> bytes:
    content = json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


_ORDER = _answer({"id": 1, "total": "9.90"})


def _serve(respond: Callable[[bytes], bytes]) -> None:
    def serve(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while received := connection.recv(65536):
            if received.startswith(b"GET") or b"grant_type" in received:  # else the head only, the body follows
                connection.sendall(respond(received))

    server = socket.create_server(("127.0.0.1", 0))
    print(server.getsockname()[1], flush=True)
    while True:
        connection, _ = server.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


class _Slow(asyncio.Protocol):
    """One connection to the slow one: ``GET /wait/0.5`` is answered after half a second, by a timer of its event loop.

    A token that begins with "expired" is refused at once. A refresh takes ``REFRESH_SECONDS``; ``GET /stats`` tells
    how many there were.
    """

    refreshes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._write = transport.write

    def data_received(self, received: bytes) -> None:
        later = asyncio.get_running_loop().call_later
        if received.startswith(b"GET /stats"):
            self._write(_answer({"refreshes": _Slow.refreshes}))
        elif not received.startswith(b"GET"):
            if b"grant_type" in received:  # else the head only, the body follows
                _Slow.refreshes += 1
                tokens = {**_TOKENS, "access_token": f"{_TOKENS['access_token']}{_Slow.refreshes}"}
                later(REFRESH_SECONDS, self._write, _answer(tokens))
        elif b" Bearer expired" in received:
            self._write(_answer({"error": "invalid_token"}, "401 Unauthorized"))
        else:
            later(float(received.split(b" ", 2)[1].rpartition(b"/")[2]), self._write, _ORDER)


def slow() -> None:
    """Serve the slow one, to which a thousand calls at a time are a thousand timers."""
    allow_connections()
    asyncio.run(_serve_slow())


async def _serve_slow() -> None:
    server = await asyncio.get_running_loop().create_server(_Slow, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def allow_connections() -> None:
    """Let this process have as many connections as the system allows it: shells often allow 1024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class _Rotating(BaseHTTPRequestHandler):
    """An OAuth 2 token endpoint with rotation and reuse detection, and an API behind it.

    ``POST /reset`` begins anew: ``lifetime`` of new tokens, ``left`` of the first one, and whether a refresh token
    that is used twice revokes them all (``detects``). ``GET /stats`` tells what happened.
    """

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    lock = threading.Lock()
    number, lifetime, ends_at = 0, 2.0, 0.0
    is_revoked = detects = False
    stats: dict[str, int] = {}

    def do_GET(self) -> None:
        cls = type(self)
        if self.path == "/stats":
            self._answer(200, cls.stats)
        elif self._is_good():
            self._answer(200, {"id": 1})
        else:
            self._answer(401, {"error": "invalid_token"})

    def _is_good(self) -> bool:
        cls = type(self)
        token = f"Bearer access-{cls.number}"
        return not cls.is_revoked and time.time() < cls.ends_at and self.headers.get("Authorization") == token

    def do_POST(self) -> None:
        cls = type(self)
        fields = parse_qs(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())
        if self.path == "/reset":
            self._reset(**{name: float(values[0]) for name, values in fields.items()})
            return
        time.sleep(0.05)
        with cls.lock:
            cls.stats["refreshes"] += 1
            if cls.is_revoked or fields.get("refresh_token") != [f"refresh-{cls.number}"]:
                # A refresh token that was used before: somebody has stolen it, so all of them are revoked.
                cls.stats["refused"] += 1
                cls.is_revoked = cls.is_revoked or cls.detects
                self._answer(400, {"error": "invalid_grant"})
                return
            cls.number += 1
            cls.ends_at = time.time() + cls.lifetime
            self._answer(200, {**self._tokens(), "expires_in": cls.lifetime})

    def _reset(self, lifetime: float, left: float, detects: float) -> None:
        cls = type(self)
        cls.lifetime, cls.ends_at = lifetime, time.time() + left
        cls.is_revoked, cls.detects = False, bool(detects)
        cls.number += 1
        cls.stats = {"refreshes": 0, "refused": 0}
        self._answer(200, self._tokens())

    def _tokens(self) -> dict[str, Any]:
        number = type(self).number
        return {"access_token": f"access-{number}", "refresh_token": f"refresh-{number}", "token_type": "Bearer"}

    def _answer(self, status: int, body: Any) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def log_message(self, *_: Any) -> None:
        pass


def rotating() -> None:
    """Serve the upstream that rotates."""
    ThreadingHTTPServer.request_queue_size = 128
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Rotating)
    server.daemon_threads = True
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    {"fast": fast, "counting": counting, "slow": slow, "rotating": rotating}[sys.argv[1]]()
