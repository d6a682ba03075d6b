"""Children that are forked in the middle of a test, with Python's hooks or without them, and what became of them."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

#: After so many seconds a child that waits for a lock that nobody will release is ended.
DEADLOCK_SECONDS = 20


def with_hooks() -> int:
    """Fork as Python does, with what libraries have registered by ``os.register_at_fork``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: "use of fork() may lead to deadlocks"
        return os.fork()


def without_hooks() -> int:
    """Fork as a server written in C does, such as uWSGI; only where no other thread runs, or the child may hang."""
    interval = sys.getswitchinterval()
    # Such servers have no threads. A child would wait for ever for a thread of ours that asked for the GIL just then.
    sys.setswitchinterval(1000)
    time.sleep(0.02)  # for those that ask for it already
    try:
        pid: int = ctypes.PyDLL(None).fork()
    finally:
        sys.setswitchinterval(interval)
    return pid


def end_if_it_hangs() -> None:
    """Have this child ended after DEADLOCK_SECONDS; pytest-timeout's own handler would make it a second pytest."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(DEADLOCK_SECONDS)


def in_child(work: Callable[[], Any], fork: Callable[[], int] = with_hooks) -> Callable[[], Any]:
    """Do ``work`` in a forked child; return what waits for it and gives its result, which JSON can hold."""
    reading, writing = os.pipe()
    child = fork()
    if not child:  # pragma: no cover -- the tests' own code
        end_if_it_hangs()
        try:
            outcome = work()
        except BaseException as error:
            outcome = repr(error)
        os.write(writing, json.dumps(outcome).encode())
        os._exit(0)
    os.close(writing)

    def result() -> Any:
        with os.fdopen(reading) as pipe:
            text = pipe.read()
        status = os.waitpid(child, 0)[1]
        assert status == 0, f"the child ended with status {status}"
        return json.loads(text)

    return result
