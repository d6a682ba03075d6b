"""What many awaited calls want to know at the same time."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from jwt_upstream.client.over_httpx.sharing import shared
from jwt_upstream.exceptions import RefreshUnavailable


def test_one_asks_for_all() -> None:
    """While one asks the others wait for its answer; who comes later asks anew."""
    gate, asked = threading.Event(), []

    def work() -> int:
        gate.wait(10)
        asked.append(1)
        return len(asked)

    async def run() -> list[int]:
        calls = [asyncio.ensure_future(shared("up", work, "key")) for _ in range(5)]
        asyncio.get_running_loop().call_later(0.05, gate.set)
        return [*await asyncio.gather(*calls), await shared("up", work, "key"), await shared("up", work, None)]

    assert asyncio.run(run()) == [1] * 5 + [2, 3]


def test_error_of_the_upstream() -> None:
    """An error of the upstream's is everybody's, each with one of its own."""
    gate = threading.Event()

    def work() -> None:
        gate.wait(10)
        raise RefreshUnavailable("try later", retry_after=3.0)

    async def run() -> list[Any]:
        calls = [asyncio.ensure_future(shared("up", work, "key")) for _ in range(3)]
        asyncio.get_running_loop().call_later(0.05, gate.set)
        return await asyncio.gather(*calls, return_exceptions=True)

    errors = asyncio.run(run())
    assert [(type(error), error.retry_after) for error in errors] == [(RefreshUnavailable, 3.0)] * 3
    assert len(set(map(id, errors))) == 3


@pytest.mark.parametrize("how", ["cancelled", "failed"])
def test_one_that_is_gone(how: str) -> None:
    """If the one who asked is cancelled, or fails by itself, one of the others asks in its place."""
    asked: list[int] = []
    gate = threading.Event()

    def work() -> str:
        asked.append(1)
        if len(asked) == 1:
            gate.wait(10)
            raise RuntimeError("the connection of this request is gone")
        return "found"

    async def run() -> list[Any]:
        first, *others = [asyncio.ensure_future(shared("up", work, "key")) for _ in range(4)]
        await asyncio.sleep(0.05)
        if how == "cancelled":
            first.cancel()
        gate.set()
        return await asyncio.gather(first, *others, return_exceptions=True)

    first, *others = asyncio.run(run())
    assert isinstance(first, asyncio.CancelledError if how == "cancelled" else RuntimeError)
    assert others == ["found"] * 3
    assert len(asked) == 2
