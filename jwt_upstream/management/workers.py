"""Processes that repeat something until they are told to stop, and end cleanly."""

from __future__ import annotations

import multiprocessing
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from types import FrameType

from django.db import Error, connections
from django.utils.translation import gettext as _

from jwt_upstream.formatting import duration
from jwt_upstream.process import random_numbers
from jwt_upstream.store import is_away

#: How long a process rests at most before it looks whether it is told to stop.
_SLICE = 0.2
#: After the database was away: seconds before it is tried again, doubled each time from the first to the second.
_BACKOFF = (1.0, 60.0)


class Stop:
    """Whether this process was told to stop. The second signal ends it at once, as if there were no handler."""

    def __init__(self) -> None:
        self._is_set = False

    def __call__(self) -> bool:
        return self._is_set

    def set(self, number: int = 0, _: FrameType | None = None) -> None:
        """Stop as soon as what is under way is finished; as a signal's handler it takes no lock."""
        self._is_set = True
        if number:
            signal.signal(number, signal.SIG_DFL)

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Be told by SIGTERM and SIGINT meanwhile; where another thread runs commands, signals are not for us."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.set) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def rest(self, seconds: float) -> None:
        """Wait for so long, or until told to stop."""
        ends_at = time.monotonic() + seconds
        while not self._is_set and (left := ends_at - time.monotonic()) > 0:
            # In slices: Python goes on sleeping after a signal's handler, and an Event's lock is none for handlers.
            time.sleep(min(left, _SLICE))


def repeat(work: Callable[[], None], every: float, stop: Stop, say: Callable[[str], None]) -> None:
    """Call ``work()`` every so many seconds, give or take a tenth so that hosts don't go in step, until told to stop.

    While the database is away, tries again with a backoff.
    """
    failures = 0
    while not stop():
        began = time.monotonic()
        try:
            work()
            failures, pause = 0, every * random_numbers().uniform(0.9, 1.1)
        except Error as error:
            if not is_away(error):
                raise
            connections.close_all()
            pause = min(_BACKOFF[0] * 2.0 ** min(failures, 30), _BACKOFF[1]) * random_numbers().uniform(0.8, 1.2)
            failures += 1
            text = _("The database is away (%(error)s); next attempt in %(span)s")
            say(text % {"error": type(error).__name__, "span": duration(pause)})
        stop.rest(pause - (time.monotonic() - began))


def in_processes(number: int, work: Callable[[int], int], stop: Stop, *, replace: bool) -> int:
    """Run ``work(1)`` and so on in as many forked processes until all have ended; return the highest exit code.

    ``work`` returns an exit code. They are told to stop when this process is. With ``replace`` one that ends before
    that has another one in its place.
    """
    connections.close_all()  # a shared socket would hand one process's answer to another
    running = {each: _started(work, each) for each in range(1, number + 1)}
    codes, is_told = [0], False
    while running:
        if stop() and not is_told:
            is_told = True
            for process in running.values():
                process.terminate()
        for each, process in list(running.items()):
            process.join(_SLICE)
            if process.exitcode is None:
                continue
            # One that was forked just as we were told to stop has no handler yet.
            codes.append(0 if stop() and process.exitcode == -signal.SIGTERM else abs(process.exitcode))
            del running[each]
            if replace and not stop():
                stop.rest(_BACKOFF[0])
            if replace and not stop():
                running[each] = _started(work, each)
    return codes[-1] if replace else max(codes)


def _started(work: Callable[[int], int], number: int) -> BaseProcess:
    process = multiprocessing.get_context("fork").Process(target=_run, args=(work, number))
    process.start()
    return process


def _run(work: Callable[[int], int], number: int) -> None:
    sys.exit(work(number))
