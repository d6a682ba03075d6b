"""The verbs for async code: the network in a thread of its own, the database where the caller's connection is."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from requests import Response, Session

from jwt_upstream.conf import conf
from jwt_upstream.exceptions import RefreshBusy

T = TypeVar("T")


class _Awaited(threading.local):
    """The event loop on which the call that runs in this thread is awaited; None in plain sync code.

    No context variable: asgiref copies the thread's context back to the caller, in the middle of a cancelled call too.
    """

    loop: asyncio.AbstractEventLoop | None = None


_awaited = _Awaited()


class AsyncVerbs(Session):
    """``aget``, ``apost`` and so on: each as its namesake in requests, to be awaited.

    A cancelled call goes on in its thread; a refresh it was waiting for is finished and stored in any case.
    """

    async def arequest(self, method: str, url: str, **kwargs: Any) -> Response:
        """Do as ``request``, in a thread of its own; the database is used where the caller's connection is."""
        call = sync_to_async(self._request_in_thread, thread_sensitive=False)
        return await call(asyncio.get_running_loop(), method, url, **kwargs)

    def _request_in_thread(self, loop: asyncio.AbstractEventLoop, method: str, url: str, **kwargs: Any) -> Response:
        _awaited.loop = loop
        try:
            return self.request(method, url, **kwargs)
        finally:
            _awaited.loop = None

    def _run(self, work: Callable[[], T]) -> T:
        """Do what touches the database: in an async call, on the thread where Django has the caller's connection."""
        loop = _awaited.loop
        if loop is None:
            return work()
        coroutine = sync_to_async(work, thread_sensitive=True)()
        try:
            future = asyncio.run_coroutine_threadsafe(coroutine, loop)
        except RuntimeError:  # the loop is closed: the call was cancelled
            coroutine.close()
            raise
        try:
            return future.result(conf.wait_seconds)
        except TimeoutError:
            future.cancel()
            text = f"the thread that has the database connection was busy for {conf.wait_seconds:g} s; try again"
            raise RefreshBusy(text, retry_after=1.0) from None

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
