"""The keep-alive connections of this process to all upstreams, however short the life of a client."""

from __future__ import annotations

import errno
import os
from queue import Empty, LifoQueue
from ssl import SSLEOFError
from threading import RLock
from typing import Any
from urllib.parse import urlsplit

from requests import PreparedRequest
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3 import HTTPConnectionPool
from urllib3.poolmanager import PoolManager

from jwt_upstream.backends.core import SHOWN, BoundedConnection, ConcealingAdapter, use_connections
from jwt_upstream.conf import conf
from jwt_upstream.process import PerProcess

_HOSTS = 100
#: As many as threads call one host at the same time, or more where more calls are awaited.
_PER_HOST = 64


class _Listening(BoundedConnection):
    """Reads the answer of a server that hangs up on an upload, as urllib3 does, over TLS too."""

    def send(self, data: Any) -> None:
        try:
            super().send(data)
        except SSLEOFError:
            # urllib3 takes this error for what it is, and not for trouble with TLS.
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) from None


class _Idle(LifoQueue[Any]):
    """The idle connections to one host; a forked child that drops its copies closes them without taking the lock.

    The thread of the parent that held it at the fork, if one did, isn't there to release it.
    """

    def __init__(self, maxsize: int = 0) -> None:
        super().__init__(maxsize)
        self._pid = os.getpid()

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        if self._pid == os.getpid():
            return super().get(block, timeout)
        try:
            return self.queue.pop()
        except IndexError:
            raise Empty from None


def _configure(manager: PoolManager) -> None:
    pools: dict[str, Any] = manager.pool_classes_by_scheme
    manager.pool_classes_by_scheme = {
        scheme: type("Pool", (pool,), {"QueueCls": _Idle}) for scheme, pool in pools.items()
    }
    use_connections(manager, _Listening, schemes=("https",))
    use_connections(manager, BoundedConnection, schemes=("http",))


class _Pooled(HTTPAdapter):
    def __init__(self) -> None:
        super().__init__(pool_connections=_HOSTS, pool_maxsize=max(_PER_HOST, conf.async_threads))
        self._found: dict[tuple[Any, ...], HTTPConnectionPool] = {}

    def get_connection_with_tls_context(
        self, request: PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> HTTPConnectionPool:
        """Return a pool as requests does, but don't compute urllib3's key on every call, a twentieth of its time."""
        place = urlsplit(str(request.url))
        host = place.netloc.rpartition("@")[2]  # without a password
        # False is not the same as 0 to requests; to a dict it is.
        key = (place.scheme, host, verify is False, verify, cert, *(proxies or {}).items())
        pool = self._found.get(key)
        if pool is None:
            # The pool manager, which drops what it was not asked for lately, is asked for each again before that.
            if len(self._found) >= _HOSTS // 2:
                self._found.clear()
            pool = super().get_connection_with_tls_context(request, verify, proxies=proxies, cert=cert)
            self._found[key] = pool
        return pool

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _configure(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> PoolManager:
        is_new = proxy not in self.proxy_manager
        manager: PoolManager = super().proxy_manager_for(proxy, **kwargs)
        if is_new:
            _configure(manager)
        return manager

    def close(self) -> None:
        """Drop all pools, as requests does."""
        super().close()
        self._found.clear()

    def forget(self) -> None:
        """Close a forked child's copies of its parent's connections; to the parent they stay open.

        A thread of the parent may have held the lock at the fork, and a response that somebody keeps keeps its pool.
        """
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            manager.pools.lock = RLock()
            for key in manager.pools.keys():  # noqa: SIM118 -- it is no mapping to iterate over
                manager.pools[key].close()


#: requests keys connections by host and TLS settings, so one adapter serves every upstream and account.
pooled = PerProcess(_Pooled, _Pooled.forget)


class BorrowingAdapter(ConcealingAdapter):
    """One client's adapter, with settings of its own and the connections of whatever process it is used in.

    What somebody does to a client's adapter, such as setting ``max_retries`` or calling ``init_poolmanager`` for more
    connections, is that client's business.
    """

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **_: Any) -> None:
        """Make no pool: there is the process's."""
        self._pool_connections, self._pool_maxsize, self._pool_block = connections, maxsize, block

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> HTTPConnectionPool:
        """Return one of the process's pools."""
        return pooled().get_connection_with_tls_context(*args, **kwargs)

    def request_url(self, request: PreparedRequest, proxies: Any) -> str:
        """Return the target for urllib3; most requests go through no proxy, and have nothing to conceal."""
        if hasattr(request, SHOWN):
            return super().request_url(request, proxies)
        target = request.path_url
        # requests looks for a proxy among none, a sixtieth of a call's time.
        return HTTPAdapter.request_url(self, request, proxies) if proxies or target.startswith("//") else target

    def close(self) -> None:
        """Leave the connections open: other clients use them as well."""


def for_this_process(adapter: BaseAdapter) -> BaseAdapter:
    """Return an adapter with the settings of one that a parent process has used, and with connections of its own."""
    if not isinstance(adapter, HTTPAdapter):
        return adapter
    # As it unpickles itself, with all that a class derived from it keeps besides.
    own = object.__new__(type(adapter))
    own.__dict__ = {**adapter.__dict__, "proxy_manager": {}}
    own.init_poolmanager(own._pool_connections, own._pool_maxsize, block=own._pool_block)
    return own
