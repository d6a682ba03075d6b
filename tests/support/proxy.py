"""A real HTTP proxy, to which every name leads to the same two servers."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from urllib.parse import urlsplit

from tests.support.raw_server import Listener


class Proxy(Listener):
    """Forwards requests to ``plain`` and tunnels (CONNECT) to ``secure``, whatever host they name; ``seen`` has those.

    What it forwards is unchanged: the server's paths are whole URLs.
    """

    def __init__(self, plain: str = "", secure: str = "") -> None:
        super().__init__()
        self.seen: list[str] = []
        self._plain, self._secure = plain, secure

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _answer(self, connection: socket.socket) -> None:
        threading.Thread(target=self._forward, args=(connection,), daemon=True).start()

    def _forward(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            head = client.recv(65536)
            method, target, _ = head.decode("latin-1").split(" ", 2)
            self.seen.append(target)
            is_tunnel = method == "CONNECT"
            with _connected(self._secure if is_tunnel else self._plain) as server:
                if is_tunnel:
                    client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                else:
                    server.sendall(head)
                back = threading.Thread(target=_pump, args=(server, client), daemon=True)
                back.start()
                _pump(client, server)
                back.join()


def _connected(url: str) -> socket.socket:
    split = urlsplit(url)
    return socket.create_connection((split.hostname or "", split.port or 80))


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
