"""A real HTTP proxy, to which every name leads to the same two servers."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from urllib.parse import urlsplit


class Proxy:
    """Forwards requests to ``plain`` and tunnels (CONNECT) to ``secure``, whatever host they name; ``seen`` has those.

    What it forwards is unchanged: the server's paths are whole URLs.
    """

    def __init__(self, plain: str = "", secure: str = "") -> None:
        self.seen: list[str] = []
        self._plain, self._secure = plain, secure
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=self._forward, args=(self._socket.accept()[0],), daemon=True).start()

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
