"""The ways to call an upstream, by requests and by httpx, waiting and awaited, behind one form for all of them."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urljoin

import httpx
import httpx2
from asgiref.sync import async_to_sync
from django.conf import settings
from django.db import connections

from jwt_upstream.client import UpstreamClient
from jwt_upstream.httpx_auth import AsyncUpstreamClient, UpstreamAuth, UpstreamTransport


class Caller:
    """Calls "up" in one way."""

    #: Whether the request that an answer or an error names may have had the token for a moment.
    is_auth = False
    is_awaited = False

    def __call__(self, method: str, path: str, *, follow: bool = False, **given: Any) -> Any:
        """Make a call; ``content``, ``json``, ``headers`` and ``files`` are given as to httpx."""
        raise NotImplementedError

    def together(self, number: int, path: str) -> list[Any]:
        """Call so many times at the same moment; return the answers and errors."""

        def call(_: int) -> Any:
            try:
                return self("GET", path)
            except Exception as error:
                return error
            finally:
                connections.close_all()

        with ThreadPoolExecutor(number) as pool:
            return list(pool.map(call, range(number)))


class Requests(Caller):
    """``UpstreamClient``."""

    def __call__(self, method: str, path: str, *, follow: bool = False, **given: Any) -> Any:
        if "content" in given:
            given["data"] = given.pop("content")
        return UpstreamClient("up").request(method, path, allow_redirects=follow, **given)


class Waiting(Caller):
    """A ``Client``."""

    def __init__(self, client: Callable[[], Any], is_auth: bool = False) -> None:
        self._client, self.is_auth = client, is_auth

    def __call__(self, method: str, path: str, *, follow: bool = False, **given: Any) -> Any:
        with self._client() as client:
            return client.request(method, _url(path), follow_redirects=follow, **given)


class Awaited(Caller):
    """An ``AsyncClient``."""

    is_awaited = True

    def __init__(self, client: Callable[[], Any], is_auth: bool = False) -> None:
        self._client, self.is_auth = client, is_auth

    def __call__(self, method: str, path: str, *, follow: bool = False, **given: Any) -> Any:
        async def call() -> Any:
            async with self._client() as client:
                return await client.request(method, _url(path), follow_redirects=follow, **given)

        return async_to_sync(call)()

    def together(self, number: int, path: str) -> list[Any]:
        async def calls() -> list[Any]:
            async with self._client() as client:
                waiting = (client.get(_url(path)) for _ in range(number))
                return await asyncio.gather(*waiting, return_exceptions=True)

        return async_to_sync(calls)()


def _url(path: str) -> str:
    return urljoin(settings.JWT_UPSTREAM["up"]["BASE_URL"], path)


#: With no CAs, since reading them takes longer than a call of these, which is in plain HTTP.
_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

#: Each by its name in a test's id.
CALLERS: dict[str, Caller] = {
    "UpstreamClient": Requests(),
    "AsyncUpstreamClient": Awaited(lambda: AsyncUpstreamClient("up")),
    "httpx2, transport": Waiting(lambda: httpx2.Client(transport=UpstreamTransport("up"))),
    "httpx, transport": Waiting(lambda: httpx.Client(transport=UpstreamTransport("up"))),
    "httpx, awaited transport": Awaited(lambda: httpx.AsyncClient(transport=UpstreamTransport("up"))),
    "httpx2, auth": Waiting(
        lambda: httpx2.Client(auth=UpstreamAuth("up"), trust_env=False, verify=_TLS), is_auth=True
    ),
    "httpx, awaited auth": Awaited(
        lambda: httpx.AsyncClient(auth=UpstreamAuth("up"), trust_env=False, verify=_TLS), is_auth=True
    ),
}
