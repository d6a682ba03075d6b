"""A TCP relay in front of a database server, which can be cut, closed or frozen for a while."""

from __future__ import annotations

import socket
import socketserver
import threading
from contextlib import suppress
from typing import Any


class Relay(socketserver.ThreadingTCPServer):
    """The only way to a server for those who connect to it; serves until the process ends."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, host: str, port: int) -> None:
        self.target = host, port
        self.is_open = True
        self.flows = threading.Event()
        self.flows.set()
        self._ends: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), Carrier)
        threading.Thread(target=self.serve_forever, args=(0.1,), daemon=True).start()

    @property
    def port(self) -> int:
        """The port to connect to."""
        return int(self.server_address[1])

    def cut(self) -> None:
        """End every connection; new ones are taken."""
        with self._lock:
            ends = list(self._ends)
        for end in ends:
            shut(end)

    def close(self) -> None:
        """End every connection and let nobody on."""
        self.is_open = False
        self.cut()

    def open(self) -> None:
        """Let everybody on again."""
        self.is_open = True

    def register(self, *ends: socket.socket) -> None:
        """Note connected sockets, which a cut will end."""
        with self._lock:
            self._ends |= {*ends}

    def forget(self, *ends: socket.socket) -> None:
        """Drop sockets that are closed."""
        with self._lock:
            self._ends -= {*ends}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of those that were cut."""


class Carrier(socketserver.BaseRequestHandler):
    """Carries what two connected sockets say to each other, unless the relay is frozen."""

    server: Relay

    def handle(self) -> None:
        """Connect the two ends until either is gone."""
        if not self.server.is_open:
            return
        with socket.create_connection(self.server.target) as far:
            self.server.register(self.request, far)
            back = threading.Thread(target=self._carry, args=(far, self.request), daemon=True)
            back.start()
            self._carry(self.request, far)
            back.join()
            self.server.forget(self.request, far)

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self.server.flows.wait()
                target.sendall(data)
        shut(source)
        shut(target)


def shut(end: socket.socket) -> None:
    """End a connection in both directions."""
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
