"""Sends a login or refresh within a total deadline; knows sockets, and nothing of what the answer means."""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from http import HTTPStatus
from http.client import HTTPResponse
from typing import Any

from requests import PreparedRequest, ReadTimeout, Response, Session
from requests.adapters import HTTPAdapter
from requests.exceptions import ContentDecodingError
from requests.hooks import default_hooks
from urllib3.connection import HTTPConnection
from urllib3.poolmanager import PoolManager

from .bodies import MAX_BODY_BYTES

#: Servers send one or two; a WebDAV server one every some seconds while it works (RFC 2518, section 10.1).
_MAX_INTERIM_ANSWERS = 50


class Deadline:
    """Shuts down every watched connection when the deadline passes; a DNS lookup is not interrupted.

    The timeout of ``requests`` limits each ``recv``, so a server that sends a byte a second could hold its caller for
    ever. Shutting the socket down from another thread ends such a read, also in the headers and the TLS handshake.
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
        """Whether the deadline has passed, by the clock: in a process that was suspended the timer may fire late."""
        return time.monotonic() >= self._passes_at

    def watch(self, sock: socket.socket) -> None:
        """Shut this socket's connection down at the deadline, whatever wraps the socket by then."""
        with self._lock:
            # A duplicate, since TLS detaches the descriptor from the socket that it wraps.
            self._sockets.append(sock.dup())
        if self.has_passed:
            self._cut()

    def _cut(self) -> None:
        with self._lock:
            for sock in self._sockets:
                with suppress(OSError):  # already closed
                    sock.shutdown(socket.SHUT_RDWR)


class FinalAnswer(HTTPResponse):
    """Skips interim answers (RFC 9110, section 15.2), a bounded number of them.

    http.client skips any number of ``100 Continue``, and takes a ``103 Early Hints`` for the answer, so that the real
    one would be left on the connection.
    """

    _interim = 0

    def _read_status(self) -> tuple[str, int, str]:
        version, status, reason = super()._read_status()  # type: ignore[misc]  # not in typeshed
        if not 100 <= status < 200 or status == HTTPStatus.SWITCHING_PROTOCOLS:
            return version, status, reason
        self._interim += 1
        if self._interim > _MAX_INTERIM_ANSWERS:
            raise OSError(errno.EPROTO, f"more than {_MAX_INTERIM_ANSWERS} interim answers")
        return version, HTTPStatus.CONTINUE, reason


class BoundedConnection(HTTPConnection):
    """A connection on which no endless row of interim answers keeps its user waiting."""

    response_class = FinalAnswer


class _Watched(BoundedConnection):
    deadline: Deadline

    def _new_conn(self) -> socket.socket:
        sock = super()._new_conn()
        self.deadline.watch(sock)
        return sock

    def connect(self) -> None:
        super().connect()
        if self.deadline.has_passed:  # suspended meanwhile: another worker may have spent the refresh token
            raise TimeoutError
        self.deadline.is_connected = True


class DeadlineAdapter(HTTPAdapter):
    """An HTTPAdapter with connections of its own, all watched by one deadline."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make connections that the deadline watches."""
        super().init_poolmanager(*args, **kwargs)
        self._watch(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> PoolManager:
        """Make connections through a proxy that the deadline watches."""
        manager: PoolManager = super().proxy_manager_for(proxy, **kwargs)
        self._watch(manager)
        return manager

    def _watch(self, manager: PoolManager) -> None:
        use_connections(manager, type("_Watched", (_Watched,), {"deadline": self._deadline}))


def use_connections(
    manager: PoolManager, mixin: type[HTTPConnection], schemes: Iterable[str] = ("http", "https")
) -> None:
    """Make a pool manager's connections inherit from ``mixin``."""
    # Derived from the manager's own classes, since those for SOCKS differ.
    pools: dict[str, Any] = dict(manager.pool_classes_by_scheme)
    for scheme in schemes:
        pools[scheme] = _pool_class(pools[scheme], mixin)
    manager.pool_classes_by_scheme = pools


def _pool_class(pool: Any, mixin: type[HTTPConnection]) -> Any:
    @cache
    def derived(connection: type[HTTPConnection]) -> type[HTTPConnection]:
        return type("Connection", (mixin, connection), {})

    # Looked up when a connection is made: vcrpy replaces the class for as long as it plays or records a cassette, and
    # tells by the pool's class which of its idle connections are not its own.
    return type("Pool", (pool,), {"ConnectionCls": property(lambda _: derived(pool.ConnectionCls))})


def _no_auth(request: PreparedRequest) -> PreparedRequest:
    """Do nothing; as ``auth`` it keeps requests from adding a password from ``.netrc``."""
    return request


class OneRequest(Session):
    """A session for one login or refresh: it reads no ``.netrc``, runs no hooks and knows no redirects.

    A session, since that is what test doubles for requests replace the adapters of.
    """

    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self.auth = _no_auth
        self._deadline = deadline
        adapter = DeadlineAdapter(deadline)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def get_redirect_target(self, resp: Response) -> None:
        """Find none, also where requests would look for ``response.next`` and fail on an invalid Location."""

    def send_within_deadline(self, request: PreparedRequest, **settings: Any) -> Response:
        """Send once, without following redirects (a 307 would pass the refresh token on), and read the whole answer.

        Raises what ``requests`` and ``urllib3`` raise, ContentDecodingError for more than ``MAX_BODY_BYTES``, and
        ReadTimeout once the deadline has passed.
        """
        request.hooks = default_hooks()  # those of an HTTPDigestAuth would send again
        try:
            response = self.send(request, **{**settings, "stream": True, "allow_redirects": False})
            response._content, response._content_consumed = _read(response), True
        except Exception:
            if not self._deadline.has_passed:
                raise
        else:
            if not self._deadline.has_passed or _is_complete(response):
                return response
        raise ReadTimeout(errno.ETIMEDOUT, f"no complete answer within {self._deadline.seconds:g} s") from None


def _is_complete(response: Response) -> bool:
    # A body without a stated length looks complete wherever the connection was cut. One that is known to be complete
    # is accepted after the deadline too (the process may have been suspended): it may hold the only valid refresh
    # token.
    return bool(response.raw.chunked) or response.raw.length_remaining == 0


def _read(response: Response) -> bytes:
    content = bytearray()
    for chunk in response.iter_content(MAX_BODY_BYTES // 16):
        content += chunk
        if len(content) > MAX_BODY_BYTES:
            response.close()
            raise ContentDecodingError(errno.EMSGSIZE, f"the answer is larger than {MAX_BODY_BYTES} bytes")
    return bytes(content)
