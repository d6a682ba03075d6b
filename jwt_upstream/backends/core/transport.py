"""Sends a login or refresh within a total deadline; knows sockets, and nothing of what the answer means."""

from __future__ import annotations

import atexit
import errno
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from contextvars import ContextVar
from functools import cache, partial
from http import HTTPStatus
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

import requests
from requests import PreparedRequest, ReadTimeout, Request, Response
from requests.adapters import BaseAdapter
from requests.exceptions import ContentDecodingError
from requests.hooks import default_hooks
from requests.structures import CaseInsensitiveDict
from urllib3.connection import HTTPConnection
from urllib3.poolmanager import PoolManager

from jwt_upstream.clock import elapsed
from jwt_upstream.idle import Idle
from jwt_upstream.process import PerProcess

from .bodies import MAX_BODY_BYTES
from .concealed import ConcealingAdapter, ConcealingConnection, conceal, without_any_query

if TYPE_CHECKING:
    from requests import Session as Session
else:
    # requests' own: requests_cache.install_cache() puts another class in its place, which would keep tokens and answer
    # calls, logins and refreshes without sending them.
    Session = next(kind for kind in requests.Session.__mro__ if kind.__module__ == "requests.sessions")

#: Servers send one or two; a WebDAV server one every some seconds while it works (RFC 2518, section 10.1).
_MAX_INTERIM_ANSWERS = 50
#: How long a kept connection may have been idle: well below the time after which servers close one.
_MOST_IDLE_SECONDS = 1.0
#: How long sessions are used, and how many may be idle in a process.
_MOST_SECONDS = 60.0
_MOST_IDLE = 4


class Replaceable(Session):
    """A session for one upstream; in a test that wants nothing sent, another adapter stands in for its own."""

    alias: str
    #: By alias, those of this kind of session.
    stand_ins: ClassVar[dict[str, BaseAdapter]]

    def get_adapter(self, url: str) -> BaseAdapter:
        """Return what sends to a URL, or what stands in for the upstream."""
        return self.stand_ins.get(self.alias) or super().get_adapter(url)


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
        #: By ``time.monotonic``.
        self.passes_at = time.monotonic() + seconds

    def __enter__(self) -> Deadline:
        _watchdog().add(self)
        return self

    def __exit__(self, *exc_info: object) -> None:
        _watchdog().remove(self)
        with self._lock:
            for sock in self._sockets:
                sock.close()

    @property
    def has_passed(self) -> bool:
        """Whether the deadline has passed, by the clock: in a process that was suspended it may be cut late."""
        return time.monotonic() >= self.passes_at

    def watch(self, sock: socket.socket) -> None:
        """Shut this socket's connection down at the deadline, whatever wraps the socket by then."""
        with self._lock:
            # A duplicate, since TLS detaches the descriptor from the socket that it wraps.
            self._sockets.append(sock.dup())
        if self.has_passed:
            self.cut()

    def cut(self) -> None:
        """Shut down what is watched, and release it: a request that a signal interrupted may never have left."""
        with self._lock:
            for sock in self._sockets:
                with suppress(OSError):  # already closed
                    sock.shutdown(socket.SHUT_RDWR)
                sock.close()


class _Watchdog:
    """Cuts the connections of each deadline that passes, in one thread for all, since starting one takes time.

    The thread ends when it wakes up and there is no deadline left.
    """

    def __init__(self) -> None:
        self._deadlines: set[Deadline] = set()
        self._changed = threading.Condition()
        self._wakes_at: float | None = None

    def add(self, deadline: Deadline) -> None:
        with self._changed:
            self._deadlines.add(deadline)
            if self._wakes_at is None:
                threading.Thread(target=self._watch, name="jwt_upstream deadlines", daemon=True).start()
                self._wakes_at = deadline.passes_at
            elif deadline.passes_at < self._wakes_at:
                self._changed.notify()

    def remove(self, deadline: Deadline) -> None:
        with self._changed:
            self._deadlines.discard(deadline)

    def _watch(self) -> None:
        while passed := self._passed():
            for deadline in passed:
                deadline.cut()

    def _passed(self) -> list[Deadline]:
        """Return what has passed, as soon as something has; nothing if no deadline is left."""
        with self._changed:
            while self._deadlines:
                passed = [deadline for deadline in self._deadlines if deadline.has_passed]
                self._deadlines.difference_update(passed)
                if passed:
                    return passed
                self._wakes_at = min(deadline.passes_at for deadline in self._deadlines)
                self._changed.wait(self._wakes_at - time.monotonic())
            self._wakes_at = None
            return []


_watchdog = PerProcess(_Watchdog)


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


class BoundedConnection(ConcealingConnection):
    """A connection on which no endless row of interim answers keeps its user waiting."""

    response_class = FinalAnswer


class _Watched(BoundedConnection):
    adapter: DeadlineAdapter
    _used_at = 0.0
    _duplicate: socket.socket | None = None

    def _new_conn(self) -> socket.socket:
        sock = super()._new_conn()
        self._duplicate = sock.dup()  # while it can be had: TLS detaches the descriptor, and can't be duplicated
        self.adapter.deadline.watch(sock)
        return sock

    def connect(self) -> None:
        super().connect()
        if self.adapter.deadline.has_passed:  # suspended meanwhile: another worker may have spent the refresh token
            raise TimeoutError
        self.adapter.deadline.is_connected = True

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock and self._used_at and self._duplicate:
            self.adapter.deadline.watch(self._duplicate)
            self.adapter.deadline.is_connected = True
        self._used_at = elapsed()
        super().request(*args, **kwargs)

    @property
    def is_connected(self) -> bool:
        """Whether it may be used again: a server closes one that is idle, just as a refresh token is on its way."""
        return super().is_connected and elapsed() - self._used_at < _MOST_IDLE_SECONDS

    def close(self) -> None:
        super().close()
        self._used_at = 0.0
        if self._duplicate:
            self._duplicate.close()
            self._duplicate = None


class DeadlineAdapter(ConcealingAdapter):
    """An HTTPAdapter with connections of its own, all watched by the deadline of the request that is under way."""

    def __init__(self, deadline: Deadline) -> None:
        self.deadline = deadline
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
        use_connections(manager, type("_Watched", (_Watched,), {"adapter": self}))


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


class OneRequest(Replaceable):
    """A session for one login or refresh: it reads no ``.netrc``, runs no hooks and knows no redirects.

    A session, since that is what test doubles for requests replace the adapters of.
    """

    stand_ins = {}

    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self.auth = _no_auth
        self.alias = ""  # of the upstream that it sends to at the moment
        self._settings: dict[Any, Any] = {}
        self._adapter = DeadlineAdapter(deadline)
        self.mount("https://", self._adapter)
        self.mount("http://", self._adapter)

    @classmethod
    @contextmanager
    def within(cls, deadline: Deadline, alias: str = "") -> Iterator[OneRequest]:
        """Give a session for one request, with connections that were used a moment ago if there are any."""
        kept = _kept.get()
        borrowed = _idle().borrowed(None, partial(cls, deadline)) if kept is None else nullcontext(kept)
        with borrowed as session:
            session._adapter.deadline, session.alias = deadline, alias
            try:
                yield session
            finally:
                session.cookies.clear()

    def prepare_request(self, request: Request) -> PreparedRequest:
        """Prepare as requests does, in half of its time: there is nothing of a session's to merge but headers."""
        headers: Any = CaseInsensitiveDict({**self.headers, **request.headers})
        data = request.data
        if type(data) is dict and data and not request.files and all(type(value) is str for value in data.values()):
            # Before requests looks whether it is a file or a list, by way of typing's protocols.
            data = urlencode(data)
            headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
        prepared = PreparedRequest()
        prepared.prepare(
            method=request.method,
            url=request.url,
            headers={name: value for name, value in headers.items() if value is not None},
            files=request.files,
            data=data,
            params=request.params or None,
            auth=request.auth or _no_auth,
            cookies=request.cookies,
            json=request.json,
        )
        return prepared

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """Look at the environment as requests does, once for each URL and its settings."""
        key = (url, *sorted((proxies or {}).items()), stream, verify, cert)
        if key not in self._settings:
            self._settings[key] = super().merge_environment_settings(url, proxies, stream, verify, cert)
        return self._settings[key]

    def get_redirect_target(self, resp: Response) -> None:
        """Find none, also where requests would look for ``response.next`` and fail on an invalid Location."""

    def send_within_deadline(self, request: PreparedRequest, **settings: Any) -> Response:
        """Send once, without following redirects (a 307 would pass the refresh token on), and read the whole answer.

        Raises what ``requests`` and ``urllib3`` raise, ContentDecodingError for more than ``MAX_BODY_BYTES``, and
        ReadTimeout once the deadline has passed.
        """
        request.hooks = default_hooks()  # those of an HTTPDigestAuth would send again
        conceal(request, without_any_query(str(request.url)), self.get_adapter(str(request.url)))
        try:
            response = self.send(request, **{**settings, "stream": True, "allow_redirects": False})
            response._content, response._content_consumed = _read(response), True
        except Exception:
            if not self._adapter.deadline.has_passed:
                raise
        else:
            if not self._adapter.deadline.has_passed or _is_complete(response):
                return response
        raise ReadTimeout(errno.ETIMEDOUT, f"no complete answer within {self._adapter.deadline.seconds:g} s") from None


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


def _sessions() -> Idle[OneRequest]:
    return Idle(OneRequest.close, _MOST_IDLE_SECONDS, _MOST_SECONDS, _MOST_IDLE)


_idle = PerProcess(_sessions)


def close_idle() -> None:
    """Close the connections that nobody uses."""
    _idle().close()


# In a forked child nothing of its parent's is closed by this.
atexit.register(close_idle)

_kept: ContextVar[OneRequest | None] = ContextVar("jwt_upstream_kept_connections", default=None)


@contextmanager
def kept_connections() -> Iterator[None]:
    """Keep the connections of logins and refreshes that this thread makes meanwhile from one to the next.

    Whatever they are sent stays apart: they share no cookies, and each has its own deadline.
    """
    with OneRequest(Deadline(0)) as session:
        token = _kept.set(session)
        try:
            yield
        finally:
            _kept.reset(token)
