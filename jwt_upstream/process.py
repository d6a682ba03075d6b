"""State that belongs to one process: a forked child begins with its own, whoever forked it."""

from __future__ import annotations

import os
from collections.abc import Callable
from random import Random
from typing import Generic, TypeVar

T = TypeVar("T")


def _drop(_: object) -> None:
    """Leave a parent's value to the garbage collector."""


class PerProcess(Generic[T]):
    """Makes a value at its first use in each process, and gives the same one to all threads of that process.

    The process id is compared at every use, since not every server that forks runs ``os.register_at_fork`` hooks
    (uWSGI's own fork does not). A child must share neither a socket nor a lock with its parent: two processes that
    write to one socket get each other's answers, and a lock that another thread held at the fork is never released.
    """

    def __init__(self, make: Callable[[], T], forget: Callable[[T], None] = _drop) -> None:
        """``forget`` is called in a child with what its parent has made, and must take no lock of it."""
        self._make = make
        self._forget = forget
        self._made: dict[int, T] = {}

    def __call__(self) -> T:
        """Return this process's value."""
        pid = os.getpid()
        try:
            return self._made[pid]
        except KeyError:
            # One atomic step decides between threads that come here at the same moment.
            value = self._made.setdefault(pid, self._make())
            self._forget_others(pid)
            return value

    def _forget_others(self, pid: int) -> None:
        for other in list(self._made):
            value = None if other == pid else self._made.pop(other, None)
            if value is not None:
                self._forget(value)


#: Random numbers of this process's own: without fork hooks all children would draw the same ones, and wait in step.
random_numbers = PerProcess(Random)
