"""A worker process: threads and async tasks that call; ``python -m tests.chaos.worker``."""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from random import Random
from typing import Any

import django
import time_machine

from tests.chaos import process
from tests.chaos.process import log, stopping
from tests.chaos.settings import TOLD

#: After so many seconds a forked child that waits in vain is ended.
_CHILD_SECONDS = 90


class FakedClock:
    """This host's clock as the process sees it, some seconds or a day off; what elapses is not affected."""

    def __init__(self) -> None:
        self._travel: Any = None

    def step(self, random: Random) -> None:
        """Set the clock to another offset."""
        if self._travel:
            self._travel.stop()
        offset = random.choice((0, random.uniform(-90, 90), random.uniform(0, 90), 86_400, -86_400))
        self._travel = time_machine.travel(time.time() + offset, tick=True)
        self._travel.start()
        log.write("clock", offset=offset)


def threads_that_call(count: int) -> list[threading.Thread]:
    """Return the threads of this worker, sync ones and one with an event loop."""
    targets: list[Callable[[], None]] = [lambda number=number: call_on(number) for number in range(count)]  # type: ignore[misc]
    return [threading.Thread(target=target) for target in (*targets, lambda: asyncio.run(call_in_tasks()))]


def call_on(number: int) -> None:
    """Call until the process is to end, as a thread of a WSGI server does."""
    from django.db import close_old_connections, connections

    from tests.chaos.calls import SyncCalls, paced

    calls = SyncCalls(f"{TOLD['seed']} {os.getpid()} {number}")
    while not stopping.is_set():
        close_old_connections()
        calls.one()
        close_old_connections()
        paced(calls.random)
    connections.close_all()


async def call_in_tasks() -> None:
    """Call from two tasks until the process is to end."""
    await asyncio.gather(*(_call_on_async(number) for number in range(2)))


async def _call_on_async(number: int) -> None:
    from asgiref.sync import ThreadSensitiveContext, sync_to_async
    from django.db import connections

    from tests.chaos.calls import async_call

    random = Random(f"{TOLD['seed']} {os.getpid()} async {number}")
    while not stopping.is_set():
        async with ThreadSensitiveContext():  # as an ASGI server does for each request
            await async_call(random)
            await sync_to_async(connections.close_all)()
        await asyncio.sleep(random.uniform(0.1, 0.6))


def fork() -> None:
    """Fork while other threads call, and call in the child."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: "use of fork() may lead to deadlocks"
        child = os.fork()
    if not child:
        _live_as_child()
    log.write("forked", child=child)


def _live_as_child() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(_CHILD_SECONDS)
    faulthandler.dump_traceback_later(_CHILD_SECONDS - 10)  # to the log of errors, if it hangs
    from django.db import connections

    from tests.chaos.calls import SyncCalls

    try:
        log.write("process", role="child", is_calm=False)
        calls = SyncCalls(f"{TOLD['seed']} {os.getpid()}")
        for _ in range(4):
            process.follow_keys()
            calls.one()
        connections.close_all()
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and not thread.daemon:
                thread.join()
        log.write("finished")
    finally:
        os._exit(0)


def reap() -> None:
    """Note the ends of forked children."""
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            log.write("child ended", child=pid, status=status)


def main() -> None:
    """Call until told to end; fork at SIGUSR2, step the clock at SIGUSR1."""
    random, clock = Random(f"{TOLD['seed']} {os.getpid()}"), FakedClock()
    signal.signal(signal.SIGUSR1, lambda *_: clock.step(random))
    signal.signal(signal.SIGUSR2, lambda *_: fork())
    django.setup()
    # All of it before the first fork: a child that is forked while a thread imports waits for that import for ever.
    from tests.chaos import calls, telling  # noqa: F401

    with suppress(ImportError):
        import_module("MySQLdb.connections")  # which the driver imports with the first connection

    telling.connect()
    process.begin()
    if not TOLD["is_calm"]:
        clock.step(random)
    started = threads_that_call(TOLD["threads"])
    for thread in started:
        thread.start()
    while any(thread.is_alive() for thread in started):
        time.sleep(0.2)
        reap()
    log.write("finished")


if __name__ == "__main__":
    main()
