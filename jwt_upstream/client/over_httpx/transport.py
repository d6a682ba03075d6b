"""The transport, for clients of httpx2 and httpx, and so for SDKs that take one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jwt_upstream.backends import Backend
from jwt_upstream.measurements import is_measured, measuring
from jwt_upstream.names import full_name
from jwt_upstream.tracebacks import without_variables

from .exchange import Exchange
from .modules import both, module_of
from .pools import Wire, loop_pools, pools
from .requests import conceal
from .steps import awalked, walked

if TYPE_CHECKING:
    import httpx
    import httpx2

    # Any of them, to a program's type checker.
    class _Waiting(httpx2.BaseTransport, httpx.BaseTransport):  # type: ignore[misc]  # the one's requests or the other's
        """What a ``Client`` takes."""

    class _Awaited(httpx2.AsyncBaseTransport, httpx.AsyncBaseTransport):  # type: ignore[misc]  # as above
        """What an ``AsyncClient`` takes."""

    class _Transport(_Waiting, _Awaited):  # type: ignore[misc]  # as above
        """Both."""
else:
    _Transport = both("BaseTransport", "AsyncBaseTransport")


_MOST_HOSTS = 100


class UpstreamTransport(_Transport):
    """A transport of httpx2 and httpx, waiting or awaited, that sends with the token of one account.

    Each hop of a redirect comes by here, so the token goes to the upstream's origin only, and neither the client's
    requests nor its responses and errors carry it. Raises what ``UpstreamClient`` raises, and what httpx raises.
    Connections, and what they are made with (certificates, proxies), are the upstream's, unless ``transport`` is
    given, which sends then, and which is closed with this one.
    """

    # Where it is imported from.
    __module__ = "jwt_upstream.httpx_auth"

    def __init__(self, alias: str = "default", account: str = "default", *, transport: Any = None) -> None:
        self.alias, self.account = alias, account
        self._exchange = Exchange(alias, account)
        self._transport = transport
        self._wires: dict[tuple[Any, ...], Wire] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_wires": {}}  # which name modules

    def __repr__(self) -> str:
        return f"<UpstreamTransport {full_name(self.alias, self.account)}>"

    @without_variables
    def handle_request(self, request: Any) -> Any:
        """Send with the token, and once more with a new one if it is refused."""
        if not is_measured():
            return walked(self._exchange.steps(request), self._send)
        with measuring(self, request.method) as told:
            response = walked(self._exchange.steps(request), self._send)
            told["status_code"] = response.status_code
            return response

    @without_variables
    async def handle_async_request(self, request: Any) -> Any:
        """Do as ``handle_request``; what waits for the database or for a refresh does so in another thread."""
        if not is_measured():
            return await awalked(self._exchange.steps(request), self._asend)
        with measuring(self, request.method) as told:
            response = await awalked(self._exchange.steps(request), self._asend)
            told["status_code"] = response.status_code
            return response

    def _wire(self, sent: Any, backend: Backend) -> Wire:
        # Once for each host, as httpx itself looks at the environment once: a twentieth of a call.
        key = (type(sent), sent.url.scheme, sent.url.netloc, backend)
        if key not in self._wires:
            if len(self._wires) >= _MOST_HOSTS:  # a redirect may lead anywhere
                self._wires.clear()
            self._wires[key] = Wire.of(module_of(sent), str(sent.url), backend)
        return self._wires[key]

    def _concealed(self, sent: Any, backend: Backend) -> Wire:
        wire = self._wire(sent, backend)
        if backend.api_query and not wire.proxy:  # which httpcore would ask for the target, too, in place of the host
            conceal(sent, backend)
        return wire

    def _send(self, sent: Any, backend: Backend) -> Any:
        transport = self._transport or pools().of(self._concealed(sent, backend))
        return transport.handle_request(sent)

    async def _asend(self, sent: Any, backend: Backend) -> Any:
        transport = self._transport or await loop_pools().of(self._concealed(sent, backend))
        return await transport.handle_async_request(sent)

    def close(self) -> None:
        """Close the transport that was given; the upstream's connections stay open for others."""
        if self._transport:
            self._transport.close()

    async def aclose(self) -> None:
        """Do as ``close``."""
        if self._transport:
            await self._transport.aclose()
