"""The keep-alive connections of this process, and of each event loop, to all upstreams."""

from __future__ import annotations

import atexit
import threading
from collections.abc import AsyncGenerator
from typing import Any, NamedTuple

from requests.exceptions import InvalidProxyURL
from requests.utils import prepend_scheme_if_needed, select_proxy
from urllib3.util import parse_url

from jwt_upstream.backends import Backend
from jwt_upstream.client.proxies import environment_for
from jwt_upstream.process import PerProcess

from .certificates import Cert, Verify, tls
from .loops import PerLoop

#: Idle connections; of those in use there may be any number, as calls wait for nobody's but their own upstream.
_KEPT = 100


class Wire(NamedTuple):
    """How a request is sent: requests that have this in common share connections."""

    module: Any
    verify: Verify
    cert: Cert
    proxy: str | None

    @classmethod
    def of(cls, module: Any, url: str, backend: Backend) -> Wire:
        """Return how ``UpstreamClient`` would send: by the upstream's options, then by the environment."""
        found = environment_for(url)
        verify = found.verify if backend.verify is True else backend.verify
        proxy = select_proxy(url, {**found.proxies, **(backend.proxies or {})})
        return cls(module, verify, backend.cert, _complete(proxy) if proxy else None)

    def options(self) -> dict[str, Any]:
        """Return the arguments of a transport."""
        limits = self.module.Limits(max_connections=None, max_keepalive_connections=_KEPT)
        return {"verify": tls(self.verify, self.cert), "proxy": self.proxy, "limits": limits, "trust_env": False}


def _complete(proxy: str) -> str:
    """Return the URL that requests takes a proxy for: httpx wants its scheme, and shows what it can't read."""
    url: str = prepend_scheme_if_needed(proxy, "http")
    if not parse_url(url).host:
        raise InvalidProxyURL("no host can be read in the URL of the proxy")
    return url


class _Pools:
    """The transports of a process, each with its connections, which all threads share."""

    def __init__(self) -> None:
        self._made: dict[Wire, Any] = {}
        self._lock = threading.Lock()

    def of(self, wire: Wire) -> Any:
        """Return the transport for requests that are sent so."""
        found = self._made.get(wire)
        if found is None:
            with self._lock:
                found = self._made.get(wire) or wire.module.HTTPTransport(**wire.options())
                self._made[wire] = found
        return found

    def close(self) -> None:
        """Close all connections; whoever sends again gets new ones."""
        made, self._made = self._made, {}
        for transport in made.values():
            transport.close()


class _LoopPools:
    """The transports of an event loop, which are closed as the loop is shut down."""

    def __init__(self) -> None:
        self._made: dict[Wire, Any] = {}
        self._endings: list[AsyncGenerator[None]] = []

    async def of(self, wire: Wire) -> Any:
        """Return the transport for requests that are sent so."""
        if wire not in self._made:
            self._made[wire] = wire.module.AsyncHTTPTransport(**wire.options())
            self._endings.append(ending := self._ending(wire))
            await anext(ending)
        return self._made[wire]

    async def _ending(self, wire: Wire) -> AsyncGenerator[None]:
        # A loop has no callback for its end, but ``asyncio.run`` and all servers have it close what is suspended here.
        try:
            yield
        finally:
            self._endings.clear()
            await self._made.pop(wire).aclose()


pools, loop_pools = PerProcess(_Pools), PerLoop(_LoopPools)
# In a forked child nothing of its parent's is closed by this.
atexit.register(lambda: pools().close())
