"""A server that speaks raw bytes, for what no well-behaved one does."""

from __future__ import annotations

import re
import socket
import ssl
import struct
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

Behaviour = Callable[[socket.socket], None]


class Listener(ABC):
    """Hands each connection that comes to ``_answer``, while its ``with`` lasts."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                self._answer(self._socket.accept()[0])

    @abstractmethod
    def _answer(self, connection: socket.socket) -> None: ...


class RawServer(Listener):
    """Reads a request, one connection after the other, and does as it was told; ``received`` keeps what came."""

    def __init__(self, behaviour: Behaviour, context: ssl.SSLContext | None = None, *, whole: bool = True) -> None:
        super().__init__()
        self.received: list[bytes] = []
        self._read = _request if whole else _start
        self._behaviour, self._context = behaviour, context

    @property
    def url(self) -> str:
        return f"http{'s' * bool(self._context)}://127.0.0.1:{self.port}/"

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            wrapped = self._context.wrap_socket(connection, server_side=True) if self._context else connection
            with wrapped:
                self.received.append(self._read(wrapped))
                self._behaviour(wrapped)


def _start(connection: socket.socket) -> bytes:
    return connection.recv(65536)


def _request(connection: socket.socket) -> bytes:
    # To its end: what is left unread when a socket is closed makes its peer see a reset.
    request = connection.recv(65536)
    length = re.search(rb"Content-Length: (\d+)", request)
    while length and len(request.partition(b"\r\n\r\n")[2]) < int(length[1]):
        request += connection.recv(65536)
    return request


def reset(connection: socket.socket) -> None:
    """Cut the connection so that the peer gets a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def say(*pieces: bytes, pause: float = 0.0) -> Behaviour:
    """Send pieces with a pause after each."""

    def behave(connection: socket.socket) -> None:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause)

    return behave


def self_signed(folder: Path) -> ssl.SSLContext:
    """Make a certificate for 127.0.0.1, ``certificate.pem`` in the folder, and return the server's side of it."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False)
    builder = builder.add_extension(x509.BasicConstraints(True, None), True)
    certificate = builder.sign(key, hashes.SHA256())
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, *plain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context
