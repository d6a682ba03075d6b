"""The keep-alive connections of this process to all upstreams, however short the life of a client."""

from __future__ import annotations

import errno
import os
from ssl import SSLEOFError
from typing import Any

from requests.adapters import DEFAULT_POOLBLOCK, HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.poolmanager import PoolManager

_HOSTS = 100
_PER_HOST = 64


class _Listening(HTTPConnection):
    """Reads the answer of a server that hangs up on an upload, as urllib3 does, over TLS too."""

    def send(self, data: Any) -> None:
        try:
            super().send(data)
        except SSLEOFError:
            # urllib3 takes this error for what it is, and not for trouble with TLS.
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) from None


class _Pooled(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _let_listen(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> PoolManager:
        is_new = proxy not in self.proxy_manager
        manager: PoolManager = super().proxy_manager_for(proxy, **kwargs)
        if is_new:
            _let_listen(manager)
        return manager


def _let_listen(manager: PoolManager) -> None:
    # Made from the manager's own classes, since those for SOCKS differ.
    pools: dict[str, Any] = dict(manager.pool_classes_by_scheme)
    connection = type("Connection", (_Listening, pools["https"].ConnectionCls), {})
    pools["https"] = type("Pool", (pools["https"],), {"ConnectionCls": connection})
    manager.pool_classes_by_scheme = pools


#: requests keys connections by host and TLS settings, so one adapter serves every upstream and account.
adapter = _Pooled(pool_connections=_HOSTS, pool_maxsize=_PER_HOST)


def _reset() -> None:
    # A socket that parent and child both write to carries garbage. The child's copies are closed, not shut down, so
    # the parent's go on.
    adapter.proxy_manager.clear()
    adapter.init_poolmanager(_HOSTS, _PER_HOST, DEFAULT_POOLBLOCK)


os.register_at_fork(after_in_child=_reset)
