"""What many awaited calls of one event loop want to know at the same time is asked once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from copy import copy
from typing import Any

from jwt_upstream.client.async_threads import depth, in_call_thread
from jwt_upstream.exceptions import UpstreamError

from .loops import PerLoop

_asked: PerLoop[dict[Hashable, asyncio.Future[Any]]] = PerLoop(dict)


async def shared(alias: str, work: Callable[[], Any], key: Hashable) -> Any:
    """Return what ``work()`` returns in one of the upstream's threads, or what it returns for another call just now.

    Without a key nothing is shared. A call that is cancelled, or fails by no fault of the upstream's, leaves the
    others to themselves: its request's database connection may be gone.
    """
    if key is None:
        return await in_call_thread(alias, work)
    key = key, depth.get()  # who is awaited below a thread can't wait for those who may be waiting for that thread
    while future := _asked().get(key):
        await asyncio.wait([future])  # which, unlike awaiting it, is not cancelled with this call
        if not future.cancelled():
            return _result(future)
    return await _lead(alias, work, key)


def _result(future: asyncio.Future[Any]) -> Any:
    if error := future.exception():
        raise copy(error)  # a shared instance would grow a traceback of all calls' frames
    return future.result()


async def _lead(alias: str, work: Callable[[], Any], key: Hashable) -> Any:
    asked = _asked()
    asked[key] = future = asyncio.get_running_loop().create_future()
    try:
        result = await in_call_thread(alias, work)
    except UpstreamError as error:
        future.set_exception(copy(error))
        future.exception()  # nobody else may have been waiting
        raise
    else:
        future.set_result(result)
        return result
    finally:
        future.cancel()  # unless it is done
        del asked[key]
