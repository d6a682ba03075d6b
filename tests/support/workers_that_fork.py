"""A process that calls, then forks others by what Python has for it: ``python -m tests.support.workers_that_fork``."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from typing import Any

from tests.support import forks, workers
from tests.support.crash_workers import _numbered

PROCESSES = 3

Outcomes = list[list[Any]]


def start(job: str, **arguments: Any) -> subprocess.Popen[str]:
    """Start a worker which runs a job of this module once it is told to go on."""
    return workers.start(job, "tests.support.workers_that_fork", warnings="default", **arguments)


class Site:
    """The client that was used before any fork."""

    client: Any = None

    @classmethod
    def call(cls, number: int) -> list[Any]:
        """Call with a number; return the outcome, and the process."""
        return [_numbered(cls.client, number), os.getpid()]


def call_in_threads(numbers: range) -> Outcomes:
    """Call from four threads, each with a connection of its own."""
    with ThreadPoolExecutor(4) as threads:
        return list(threads.map(Site.call, numbers))


def _used_before() -> Any:
    from django.db import connections

    from jwt_upstream.client import UpstreamClient

    Site.client = UpstreamClient("up")
    before = Site.call(0)
    connections.close_all()
    return before


def pool_of_processes(calls: int) -> Outcomes:
    """Call by a Pool's processes, while this one calls as well."""
    before = _used_before()
    with multiprocessing.get_context("fork").Pool(PROCESSES) as pool:
        under_way = pool.map_async(Site.call, range(1, calls), chunksize=5)
        own = [Site.call(number) for number in range(calls, calls + 50)]
        return [before, *under_way.get(120), *own]


def executor_of_processes(calls: int) -> Outcomes:
    """Call by an executor's processes, while this one calls as well."""
    before = _used_before()
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("fork")) as executor:
        under_way = executor.map(Site.call, range(1, calls), chunksize=5)
        own = [Site.call(number) for number in range(calls, calls + 50)]
        return [before, *under_way, *own]


def processes_of_threads(calls: int) -> Outcomes:
    """Call by threads of a Pool's processes."""
    before = _used_before()
    each = calls // PROCESSES
    parts = [range(first, first + each) for first in range(1, calls, each)]
    with multiprocessing.get_context("fork").Pool(PROCESSES) as pool:
        return [before, *(outcome for part in pool.map(call_in_threads, parts, chunksize=1) for outcome in part)]


def children_without_hooks(calls: int) -> Outcomes:
    """Call by threads of children and of a grandchild, forked without Python's hooks, while this one calls as well."""
    before = _used_before()
    each = calls // PROCESSES
    children = [
        forks.in_child(partial(_call_and_fork, range(first, first + each)), forks.without_hooks)
        for first in range(1, calls, each)
    ]
    own = [Site.call(number) for number in range(calls, calls + 50)]
    return [before, *own, *(outcome for child in children for outcome in child())]


def _call_and_fork(numbers: range) -> Outcomes:
    from django.db import connections

    before = Site.call(0)
    connections.close_all()
    grandchild = forks.in_child(partial(call_in_threads, numbers[::2]), forks.without_hooks)
    return [before, *call_in_threads(numbers[1::2]), *grandchild()]


if __name__ == "__main__":
    from tests.support import workers_that_fork  # by its name, as the processes that are forked know it

    workers.main(vars(workers_that_fork))
