"""The threads in which awaited calls wait for the network, for each upstream its own; the database is not theirs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, ContextVar, copy_context
from typing import Any, NamedTuple, ParamSpec, TypeVar

from asgiref.sync import sync_to_async

from jwt_upstream.conf import conf
from jwt_upstream.exceptions import RefreshBusy
from jwt_upstream.process import PerProcess

P = ParamSpec("P")
T = TypeVar("T")

#: In how many of these threads, each of which waits for the next, the code runs.
depth: ContextVar[int] = ContextVar("jwt_upstream_depth", default=0)


class CallThreads:
    """The thread pools of one process, one for each upstream: one that is slow keeps no other's calls waiting.

    asyncio's own pool has a few threads for everybody: calls would wait for each other there, and the project's
    ``asyncio.to_thread()`` and ``loop.getaddrinfo()`` for them.
    """

    def __init__(self) -> None:
        self._pools: dict[tuple[str, int], ThreadPoolExecutor] = {}
        self._lock = threading.Lock()

    def of(self, alias: str) -> ThreadPoolExecutor:
        """Return an upstream's pool, which starts threads as they are needed, JWT_UPSTREAM_ASYNC_THREADS at most.

        Calls that are awaited below such a thread, which waits for them, have one of their own.
        """
        key = alias, depth.get()
        with self._lock:
            pool = self._pools.get(key)
            if pool is None or pool._max_workers != conf.async_threads:
                self._pools[key] = made = ThreadPoolExecutor(conf.async_threads, f"jwt_upstream {alias}")
                if pool:  # the setting has changed; what runs there is finished
                    pool.shutdown(wait=False)
                return made
            return pool


call_threads = PerProcess(CallThreads)


class _Caller(NamedTuple):
    """Who awaits a call: the event loop, and the context there.

    The call has a copy of that context, but newer versions of asgiref don't find the caller's own thread by one that
    was in another thread, and would have the database wait for the thread that waits for the database.
    """

    loop: asyncio.AbstractEventLoop
    context: Context


class _Awaited(threading.local):
    """Who awaits the call that runs in this thread; None in plain sync code.

    No context variable: asgiref copies the thread's context back to the caller, in the middle of a cancelled call too.
    """

    by: _Caller | None = None


_awaited = _Awaited()


async def in_call_thread(alias: str, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what a function returns, called in one of the upstream's threads; see ``on_callers_connection``."""
    call: Callable[..., Any] = sync_to_async(_called, thread_sensitive=False, executor=call_threads().of(alias))
    result: T = await call(_Caller(asyncio.get_running_loop(), copy_context()), function, *args, **kwargs)
    return result


def _called(caller: _Caller, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    _awaited.by = caller
    try:
        return copy_context().run(_deeper, function, *args, **kwargs)
    finally:
        _awaited.by = None


def _deeper(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    # In a context of its own, for the reason that _Awaited has.
    depth.set(depth.get() + 1)
    return _result(function, *args, **kwargs)


def _result(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return function(*args, **kwargs)
    except StopIteration as error:  # which no future takes: before Python 3.12 the caller would wait for ever
        raise RuntimeError("StopIteration was raised in an awaited call, which can't raise it") from error


def on_callers_connection(work: Callable[[], T]) -> T:
    """Do what touches the database: in an awaited call, on the thread where Django has the caller's connection."""
    caller = _awaited.by
    if caller is None:
        return work()
    coroutine = sync_to_async(_result, thread_sensitive=True)(work)
    try:
        future = caller.context.run(asyncio.run_coroutine_threadsafe, coroutine, caller.loop)
    except RuntimeError:  # the loop is closed: the call was cancelled
        coroutine.close()
        raise
    try:
        return future.result(conf.wait_seconds)
    except TimeoutError:
        future.cancel()
        if caller.loop.is_closed():  # before it came to this
            coroutine.close()
        text = f"the thread that has the database connection was busy for {conf.wait_seconds:g} s; try again"
        raise RefreshBusy(text, retry_after=1.0) from None
