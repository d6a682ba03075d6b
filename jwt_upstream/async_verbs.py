"""The verbs for async code: the network in a thread of its own, the database where the caller's connection is."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, TypeVar

from asgiref.sync import async_to_sync, sync_to_async
from requests import Response, Session

T = TypeVar("T")

_is_async: ContextVar[bool] = ContextVar("jwt_upstream_is_async", default=False)


class AsyncVerbs(Session):
    """``aget``, ``apost`` and so on: each as its namesake in requests, to be awaited.

    A cancelled call goes on in its thread; a refresh it was waiting for is finished and stored in any case.
    """

    async def arequest(self, method: str, url: str, **kwargs: Any) -> Response:
        """Do as ``request``, in a thread of its own; the database is used where the caller's connection is."""
        return await sync_to_async(self._request_in_thread, thread_sensitive=False)(method, url, **kwargs)

    def _request_in_thread(self, method: str, url: str, **kwargs: Any) -> Response:
        _is_async.set(True)
        return self.request(method, url, **kwargs)

    async def aget(self, url: str, **kwargs: Any) -> Response:
        """Do as ``get``."""
        return await self.arequest("GET", url, **kwargs)

    async def aoptions(self, url: str, **kwargs: Any) -> Response:
        """Do as ``options``."""
        return await self.arequest("OPTIONS", url, **kwargs)

    async def ahead(self, url: str, **kwargs: Any) -> Response:
        """Do as ``head``, which follows no redirects."""
        return await self.arequest("HEAD", url, **{"allow_redirects": False, **kwargs})

    async def apost(self, url: str, **kwargs: Any) -> Response:
        """Do as ``post``."""
        return await self.arequest("POST", url, **kwargs)

    async def aput(self, url: str, **kwargs: Any) -> Response:
        """Do as ``put``."""
        return await self.arequest("PUT", url, **kwargs)

    async def apatch(self, url: str, **kwargs: Any) -> Response:
        """Do as ``patch``."""
        return await self.arequest("PATCH", url, **kwargs)

    async def adelete(self, url: str, **kwargs: Any) -> Response:
        """Do as ``delete``."""
        return await self.arequest("DELETE", url, **kwargs)

    def _run(self, work: Callable[[], T]) -> T:
        """Do what touches the database, in an async call on the thread where the caller's connection is."""
        return async_to_sync(sync_to_async(work, thread_sensitive=True))() if _is_async.get() else work()
