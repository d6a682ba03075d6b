"""State that belongs to one event loop: an awaited connection can be used on no other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from jwt_upstream.process import PerProcess

T = TypeVar("T")


class _Made(Generic[T]):
    def __init__(self) -> None:
        self.by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, T] = WeakKeyDictionary()
        self.lock = threading.Lock()


class PerLoop(Generic[T]):
    """Makes a value at its first use on each event loop of each process; it goes with the loop."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: PerProcess[_Made[T]] = PerProcess(_Made)

    def __call__(self) -> T:
        """Return the value of the loop that is running."""
        loop, made = asyncio.get_running_loop(), self._made()
        value = made.by_loop.get(loop)
        if value is None:
            with made.lock:  # other threads have loops of their own
                # What is left of loops that were closed without being shut down keeps them alive.
                for closed in [other for other in made.by_loop if other.is_closed()]:
                    del made.by_loop[closed]
                value = made.by_loop[loop] = self._make()
        return value
