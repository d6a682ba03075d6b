"""The verbs for async code: the network in threads of their own, the database where the caller's connection is."""

from __future__ import annotations

from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import ParamSpec, TypeVar, Unpack

from requests import Response

from jwt_upstream.backends.core import Session
from jwt_upstream.typing import CallOptions

from .async_threads import in_call_thread

P = ParamSpec("P")
T = TypeVar("T")


class AsyncVerbs(Session):
    """``aget``, ``apost`` and so on: each as its namesake in requests, to be awaited.

    A cancelled call goes on in its thread; a refresh it was waiting for is finished and stored in any case.
    """

    alias: str

    async def arequest(self, method: str, url: str, **kwargs: Unpack[CallOptions]) -> Response:
        """Do as ``request``, in a thread of its own; the database is used where the caller's connection is."""
        return await self.arun(self.request, method, url, **kwargs)

    async def arun(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what a function returns that calls with this client, such as one of an SDK: as ``arequest`` does.

        At most JWT_UPSTREAM_ASYNC_THREADS run at the same time for an upstream, apart from what else asyncio's threads
        have to do; more wait for their turn. A StopIteration, as of ``next()``, is raised as RuntimeError.

        Raises TypeError for an async function.
        """
        if iscoroutinefunction(function):
            raise TypeError("arun() is for functions that block; this one is async: await it itself")
        return await in_call_thread(self.alias, function, *args, **kwargs)

    async def aget(self, url: str, **kwargs: Unpack[CallOptions]) -> Response:
        """Do as ``get``."""
        return await self.arequest("GET", url, **kwargs)

    async def aoptions(self, url: str, **kwargs: Unpack[CallOptions]) -> Response:
        """Do as ``options``."""
        return await self.arequest("OPTIONS", url, **kwargs)

    async def ahead(self, url: str, **kwargs: Unpack[CallOptions]) -> Response:
        """Do as ``head``, which follows no redirects."""
        kwargs.setdefault("allow_redirects", False)
        return await self.arequest("HEAD", url, **kwargs)

    async def apost(self, url: str, **kwargs: Unpack[CallOptions]) -> Response:
        """Do as ``post``."""
        return await self.arequest("POST", url, **kwargs)

    async def aput(self, url: str, **kwargs: Unpack[CallOptions]) -> Response:
        """Do as ``put``."""
        return await self.arequest("PUT", url, **kwargs)

    async def apatch(self, url: str, **kwargs: Unpack[CallOptions]) -> Response:
        """Do as ``patch``."""
        return await self.arequest("PATCH", url, **kwargs)

    async def adelete(self, url: str, **kwargs: Unpack[CallOptions]) -> Response:
        """Do as ``delete``."""
        return await self.arequest("DELETE", url, **kwargs)
