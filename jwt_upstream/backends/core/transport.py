"""Sends a login or refresh under a total deadline; knows sockets, not what the answer means."""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from requests import PreparedRequest, ReadTimeout, Response
from requests.adapters import HTTPAdapter
from requests.exceptions import ContentDecodingError
from urllib3.connection import HTTPConnection
from urllib3.poolmanager import PoolManager

from .bodies import MAX_BODY_BYTES


class Deadline:
    """Cuts every connection it was told of when the time is up; looking up a host's name is not cut short.

    ``requests`` limits each ``recv``, so a server that trickles a byte a second holds its caller for ever; shutting
    the socket down from outside is what ends such a read, in the headers and in TLS's handshake too.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        #: Whether the request may have reached the upstream.
        self.is_connected = False
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._passes_at = time.monotonic() + seconds
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> Deadline:
        self._timer.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._timer.cancel()
        with self._lock:
            for sock in self._sockets:
                sock.close()

    @property
    def has_passed(self) -> bool:
        """Whether the time is up; by the clock, since in a process that was frozen the timer may come late."""
        return time.monotonic() >= self._passes_at

    def watch(self, sock: socket.socket) -> None:
        """Have this socket's connection cut, whatever else will be wrapped around it."""
        with self._lock:
            # TLS takes the descriptor away from the socket that it wraps, so one of our own.
            self._sockets.append(sock.dup())
        if self.has_passed:
            self._cut()

    def _cut(self) -> None:
        with self._lock:
            for sock in self._sockets:
                with suppress(OSError):  # already closed
                    sock.shutdown(socket.SHUT_RDWR)


class _Watched(HTTPConnection):
    deadline: Deadline

    def _new_conn(self) -> socket.socket:
        sock = super()._new_conn()
        self.deadline.watch(sock)
        return sock

    def connect(self) -> None:
        super().connect()
        if self.deadline.has_passed:  # frozen meanwhile: another worker may have spent what was to be sent
            raise TimeoutError
        self.deadline.is_connected = True


class DeadlineAdapter(HTTPAdapter):
    """An HTTPAdapter with connections of its own, all under one deadline."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Have connections made that the deadline knows of."""
        super().init_poolmanager(*args, **kwargs)
        self._watch(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> PoolManager:
        """Do the same for connections through a proxy."""
        manager: PoolManager = super().proxy_manager_for(proxy, **kwargs)
        self._watch(manager)
        return manager

    def _watch(self, manager: PoolManager) -> None:
        use_connections(manager, type("_Watched", (_Watched,), {"deadline": self._deadline}))


def use_connections(
    manager: PoolManager, mixin: type[HTTPConnection], schemes: Iterable[str] = ("http", "https")
) -> None:
    """Have a pool manager make connections that behave as ``mixin`` does."""
    # Made from the manager's own classes, since those for SOCKS differ.
    pools: dict[str, Any] = dict(manager.pool_classes_by_scheme)
    for scheme in schemes:
        connection = type("Connection", (mixin, pools[scheme].ConnectionCls), {})
        pools[scheme] = type("Pool", (pools[scheme],), {"ConnectionCls": connection})
    manager.pool_classes_by_scheme = pools


def no_auth(request: PreparedRequest) -> PreparedRequest:
    """Do nothing; given as ``auth``, it keeps requests from adding a password of ``.netrc``."""
    return request


def send(request: PreparedRequest, deadline: Deadline, **settings: Any) -> Response:
    """Send once, follow no redirect (a 307 would carry the refresh token away), and read all of a sane answer.

    Raises what ``requests`` and ``urllib3`` raise, ReadTimeout once the deadline has passed. By the adapter, since a
    Session looks where a redirect leads even if it isn't to follow it, and fails on a Location that is no URL.
    """
    adapter = DeadlineAdapter(deadline)
    try:
        response = adapter.send(request, **{**settings, "stream": True})
        response._content, response._content_consumed = _read(response), True
    except Exception:
        if not deadline.has_passed:
            raise
    else:
        if not deadline.has_passed or _is_complete(response):
            return response
    finally:
        adapter.close()
    raise ReadTimeout(errno.ETIMEDOUT, f"no complete answer within {deadline.seconds:g} s") from None


def _is_complete(response: Response) -> bool:
    # A body that ends where the connection does looks complete where it was cut. What is known to be complete is
    # taken although the time is up (of a process that was frozen, say): it may hold the only good refresh token.
    return bool(response.raw.chunked) or response.raw.length_remaining == 0


def _read(response: Response) -> bytes:
    content = bytearray()
    for chunk in response.iter_content(MAX_BODY_BYTES // 16):
        content += chunk
        if len(content) > MAX_BODY_BYTES:
            response.close()
            raise ContentDecodingError(errno.EMSGSIZE, f"an answer of more than {MAX_BODY_BYTES} bytes")
    return bytes(content)
