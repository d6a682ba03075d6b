"""State that belongs to one event loop."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from jwt_upstream.client.over_httpx.loops import PerLoop

Kept = PerLoop[list[Any]]


async def value(kept: Kept) -> list[Any]:
    return kept()


def test_each_loop_has_its_own() -> None:
    """A loop finds its value again; another one, of another thread as well, has its own."""
    kept: Kept = PerLoop(list)

    async def twice() -> tuple[list[Any], list[Any]]:
        return await value(kept), await value(kept)

    one, again = asyncio.run(twice())
    others: list[list[Any]] = []
    thread = threading.Thread(target=lambda: others.append(asyncio.run(value(kept))))
    thread.start()
    thread.join()
    assert one is again
    assert others[0] is not one


def test_loop_that_was_closed() -> None:
    """What refers to its loop, as connections do, goes once another loop wants a value."""
    kept: Kept = PerLoop(list)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(value(kept)).append(loop)
    loop.close()
    asyncio.run(value(kept))
    assert loop not in kept._made().by_loop
