"""The keep-alive connections of this process to all upstreams, however short the life of a client."""

from __future__ import annotations

import os

from requests.adapters import DEFAULT_POOLBLOCK, HTTPAdapter

_HOSTS = 100
_PER_HOST = 64

#: requests keys connections by host and TLS settings, so one adapter serves every upstream and account.
adapter = HTTPAdapter(pool_connections=_HOSTS, pool_maxsize=_PER_HOST)


def _reset() -> None:
    # A socket that parent and child both write to carries garbage. The child's copies are closed, not shut down, so
    # the parent's go on.
    adapter.proxy_manager.clear()
    adapter.init_poolmanager(_HOSTS, _PER_HOST, DEFAULT_POOLBLOCK)


os.register_at_fork(after_in_child=_reset)
