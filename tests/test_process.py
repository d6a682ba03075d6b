"""State of one process: a forked child begins with its own."""

from __future__ import annotations

import os

from jwt_upstream.process import PerProcess, random_numbers
from tests.support import forks


def test_value_of_each_process() -> None:
    """A process keeps the value that it made, and a child makes another one."""
    value = PerProcess(lambda: [os.getpid()])
    assert value() is value()

    def of_child() -> bool:
        return value() == [os.getpid()] and value() is value()

    assert forks.in_child(of_child)() is True
    assert value() == [os.getpid()]


def test_random_numbers_of_each_process() -> None:
    """Processes that wait with jitter don't wait equally long, although they were forked at the same moment."""
    random_numbers().random()
    children = [forks.in_child(lambda: random_numbers().random()) for _ in range(3)]
    numbers = {random_numbers().random(), *(child() for child in children)}
    assert len(numbers) == 4
