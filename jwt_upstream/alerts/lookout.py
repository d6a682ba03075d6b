"""Looks at the outbox when there is reason to, in a thread of its own; whoever gives the reason goes on at once."""

from __future__ import annotations

import atexit
import math
import threading
import time
from contextlib import suppress
from typing import Any

from django.db import Error

from jwt_upstream.conf import conf
from jwt_upstream.process import PerProcess
from jwt_upstream.store import connections, outbox, queries

from .delivery import deliver

#: How often a process that calls or refreshes looks at the outbox without any other reason.
_EVERY_SECONDS = 60.0
#: A process that lives for less looks only if it has something to tell.
_FIRST_SECONDS = 10.0
#: How long the end of a process waits for what it is yet to tell.
_EXIT_SECONDS = 5.0
#: Between two looks at least, and up to when a thread waits for what could not be told; later whoever comes by does.
_RETRY_SECONDS = (5.0, 3600.0)
#: This host's clock and the database's go a little differently.
_MARGIN = 0.1


class Lookout:
    """The one thread of a process that waits until something of one database is due; none while nothing is."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._is_watching = self._has_written = self._is_leaving = False
        self._look_at = math.inf
        self._idle_until = time.monotonic() + _FIRST_SECONDS

    def pass_by(self, using: str) -> None:
        """Look at the outbox if nobody in this process has for a minute."""
        if time.monotonic() >= self._idle_until:
            self._look_in(0.0, using)

    def note_written(self, using: str) -> None:
        """Look at the outbox once what was written is due."""
        self._has_written = True
        self._look_in(conf.notify_after_seconds and conf.notify_after_seconds + _MARGIN, using)

    def leave(self) -> None:
        """Tell what this process has written before it ends, due or not, unless that takes long."""
        with self._changed:
            self._is_leaving = True
            self._changed.notify_all()
            if self._has_written:
                self._changed.wait_for(lambda: not self._is_watching, _EXIT_SECONDS)

    def _look_in(self, seconds: float, using: str) -> None:
        self._idle_until = time.monotonic() + _EVERY_SECONDS
        with self._changed:
            self._look_at = min(self._look_at, time.monotonic() + seconds)
            self._changed.notify_all()
            if self._is_watching:
                return
            # If the interpreter is shutting down and starts no more threads, it is for whoever comes by next.
            with suppress(RuntimeError):
                connections.in_daemon_thread(using, self._watch, "jwt_upstream alerts")
                self._is_watching = True

    def _watch(self) -> None:
        using = queries.database()
        try:
            while self._wait():
                deliver(ahead=conf.notify_after_seconds if self._is_leaving else 0.0)
                self._plan(self._next_due(using))
        except BaseException:  # a bug must not keep the next thread from being started
            with self._changed:
                self._is_watching = False
                self._changed.notify_all()
            raise

    def _wait(self) -> bool:
        """Wait until it is time to look; False if there is nothing to wait for."""
        with self._changed:
            while not self._is_leaving and math.inf > self._look_at > time.monotonic():
                self._changed.wait(self._look_at - time.monotonic())
            self._is_watching = self._look_at < math.inf
            self._look_at = math.inf
            self._changed.notify_all()
            return self._is_watching

    def _next_due(self, using: str) -> float | None:
        try:
            return outbox.next_due(conf.notifiers, using)
        except Error:  # the database is away
            return _RETRY_SECONDS[1]
        finally:
            connections.reconnect(using)  # so that nothing stays open while nothing is done

    def _plan(self, seconds: float | None) -> None:
        shortest, longest = _RETRY_SECONDS
        if seconds is not None and seconds <= longest and not self._is_leaving:
            with self._changed:
                self._look_at = min(self._look_at, time.monotonic() + max(seconds, shortest))


class Lookouts:
    """The lookouts of a process: one for each database, or tenant's schema."""

    def __init__(self) -> None:
        self._of: dict[tuple[str, str], Lookout] = {}

    def come_by(self, is_written: bool) -> None:
        """Look at the outbox soon if something was written, else once a minute; returns at once."""
        using = queries.database()
        if not connections.must_join(using):
            lookout = self._of.setdefault(connections.scope(using), Lookout())
            lookout.note_written(using) if is_written else lookout.pass_by(using)
        elif is_written and not conf.notify_after_seconds:  # in a test's transaction, which no other thread can read
            deliver()

    def leave(self) -> None:
        """Tell what is left to tell, at the end of the process."""
        for lookout in self._of.values():
            lookout.leave()


lookouts = PerProcess(Lookouts)


def connect() -> None:
    """Connect the receiver of those who come by; called when the app is ready."""
    outbox.passed.connect(_come_by, dispatch_uid="jwt_upstream.alerts")
    atexit.unregister(_leave)  # of an earlier call
    atexit.register(_leave)


def _come_by(sender: object, is_written: bool, **_: Any) -> None:
    lookouts().come_by(is_written)


def _leave() -> None:
    lookouts().leave()
