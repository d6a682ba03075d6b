"""Sends a login or refresh under a total deadline; knows sockets, not what the answer means."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from typing import Any

from requests import PreparedRequest, ReadTimeout, Response, Session
from requests.adapters import HTTPAdapter
from requests.exceptions import ContentDecodingError
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.poolmanager import PoolManager

#: More than this is no answer of a token endpoint.
LONGEST_ANSWER = 1024 * 1024


class Deadline:
    """Cuts every connection it was told of when the time is up.

    ``requests`` limits each ``recv``, so a server that trickles a byte a second holds its caller for ever; closing
    the socket from outside is what ends such a read, in the headers too.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.passed = False
        self._sockets: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> Deadline:
        self._timer.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._timer.cancel()

    def watch(self, connection: HTTPConnection) -> None:
        """Have this connection's socket cut as well; called again once TLS has wrapped it."""
        if connection.sock is not None:
            self._sockets.append(connection.sock)
        if self.passed:
            self._cut()

    def _cut(self) -> None:
        self.passed = True
        for sock in self._sockets:
            with suppress(OSError):  # already closed
                sock.shutdown(socket.SHUT_RDWR)


class DeadlineAdapter(HTTPAdapter):
    """An HTTPAdapter with connections of its own, all under one deadline."""

    def __init__(self, deadline: Deadline) -> None:
        self._classes = _pool_classes(deadline)
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Have connections made that the deadline knows of."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._classes

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> PoolManager:
        """Do the same for connections through a proxy."""
        manager: PoolManager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = self._classes
        return manager


def _pool_classes(deadline: Deadline) -> dict[str, type[HTTPConnectionPool]]:
    class Plain(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            deadline.watch(self)

    class Encrypted(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            deadline.watch(self)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class EncryptedPool(HTTPSConnectionPool):
        ConnectionCls = Encrypted

    return {"http": PlainPool, "https": EncryptedPool}


def send(session: Session, request: PreparedRequest, seconds: float, **settings: Any) -> Response:
    """Send once, follow no redirect (a 307 would carry the refresh token away), and read all of a sane answer.

    Raises ``requests.RequestException``, ReadTimeout once ``seconds`` are over in all.
    """
    started = time.monotonic()
    with Deadline(seconds) as deadline:
        adapter = DeadlineAdapter(deadline)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        try:
            response = session.send(request, **{**settings, "stream": True, "allow_redirects": False})
            _read(response)
        except Exception:
            if deadline.passed:
                raise ReadTimeout(f"no complete answer within {seconds:g} s") from None
            raise
    if deadline.passed or time.monotonic() - started > seconds:
        raise ReadTimeout(f"no complete answer within {seconds:g} s")
    return response


def _read(response: Response) -> None:
    content = b""
    for chunk in response.iter_content(LONGEST_ANSWER // 16):
        content += chunk
        if len(content) > LONGEST_ANSWER:
            response.close()
            raise ContentDecodingError(f"an answer of more than {LONGEST_ANSWER} bytes")
    response._content = content
