"""The threads in which awaited calls wait for the network, for each upstream its own; the database is not theirs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import sync_to_async

from jwt_upstream.conf import conf
from jwt_upstream.exceptions import RefreshBusy
from jwt_upstream.process import PerProcess

P = ParamSpec("P")
T = TypeVar("T")


class CallThreads:
    """The thread pools of one process, one for each upstream: one that is slow keeps no other's calls waiting.

    asyncio's own pool has a few threads for everybody: calls would wait for each other there, and the project's
    ``asyncio.to_thread()`` and ``loop.getaddrinfo()`` for them.
    """

    def __init__(self) -> None:
        self._pools: dict[str, ThreadPoolExecutor] = {}
        self._lock = threading.Lock()

    def of(self, alias: str) -> ThreadPoolExecutor:
        """Return an upstream's pool, which starts threads as they are needed, JWT_UPSTREAM_ASYNC_THREADS at most."""
        with self._lock:
            pool = self._pools.get(alias)
            if pool is None or pool._max_workers != conf.async_threads:
                self._pools[alias] = made = ThreadPoolExecutor(conf.async_threads, f"jwt_upstream {alias}")
                if pool:  # the setting has changed; what runs there is finished
                    pool.shutdown(wait=False)
                return made
            return pool


call_threads = PerProcess(CallThreads)


class _Awaited(threading.local):
    """The event loop on which the call that runs in this thread is awaited; None in plain sync code.

    No context variable: asgiref copies the thread's context back to the caller, in the middle of a cancelled call too.
    """

    loop: asyncio.AbstractEventLoop | None = None


_awaited = _Awaited()


async def in_call_thread(alias: str, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what a function returns, called in one of the upstream's threads; see ``on_callers_connection``."""
    call: Callable[..., Any] = sync_to_async(_called, thread_sensitive=False, executor=call_threads().of(alias))
    result: T = await call(asyncio.get_running_loop(), function, *args, **kwargs)
    return result


def _called(loop: asyncio.AbstractEventLoop, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    _awaited.loop = loop
    try:
        return function(*args, **kwargs)
    finally:
        _awaited.loop = None


def on_callers_connection(work: Callable[[], T]) -> T:
    """Do what touches the database: in an awaited call, on the thread where Django has the caller's connection."""
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
        if loop.is_closed():  # before it came to this
            coroutine.close()
        text = f"the thread that has the database connection was busy for {conf.wait_seconds:g} s; try again"
        raise RefreshBusy(text, retry_after=1.0) from None
