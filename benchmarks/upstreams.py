"""The upstreams that are called, each in a process of its own: one as fast as can be, one which rotates tokens."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

_TOKENS = {"access_token": f"eyJ.{'a' * 400}.sig", "refresh_token": "r" * 64, "expires_in": 3600}


@contextmanager
def running(kind: str) -> Iterator[str]:
    """Start the "fast" or the "rotating" one and give its URL."""
    command = [sys.executable, "-m", "benchmarks.upstreams", kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}/"
        finally:
            server.kill()


def fast() -> None:
    """Answer every GET with the same JSON, every POST with the same tokens; HTTP is hardly looked at."""

    def answer(body: Any) -> bytes:
        content = json.dumps(body).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        return head.encode() + content

    order, tokens = answer({"id": 1, "total": "9.90"}), answer(_TOKENS)

    def serve(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while received := connection.recv(65536):
            if received.startswith(b"GET"):
                connection.sendall(order)
            elif b"grant_type" in received:  # else the head only, the body follows
                connection.sendall(tokens)

    server = socket.create_server(("127.0.0.1", 0))
    print(server.getsockname()[1], flush=True)
    while True:
        connection, _ = server.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


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
    {"fast": fast, "rotating": rotating}[sys.argv[1]]()
