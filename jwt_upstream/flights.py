"""One refresh at a time per process, in a thread and on a connection of its own; knows no tokens and no HTTP.

Whoever asks while a flight is under way shares its result, failure included. The thread is not a daemon and the
connection is nobody else's, so the caller's rollback, time-out, cancellation or signal can't undo or abort a refresh.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

from django.db import InterfaceError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from jwt_upstream.conf import conf

T = TypeVar("T")

#: What drivers raise when a server is away, a lock is not to be had, or a transaction must be tried again.
DATABASE_AWAY = (OperationalError, InterfaceError)

#: A lock of ours lasts milliseconds, so one that is met for this long is held by somebody's own transaction.
BLOCKED_SECONDS = 0.5
#: How long SQLite waits for another writer; claiming is tried again anyway, and a blocked caller wants to know soon.
SQLITE_TIMEOUT = 0.3


class Flight:
    """Work under way and those who wait for it.

    Callers inside a transaction may be the very ones whose locks keep the work from being done, so they wait for a
    future of their own, which can be failed while the others' stays open.
    """

    def __init__(self) -> None:
        self.free: Future[Any] = Future()
        self.bound: Future[Any] = Future()
        self.has_free = False

    def join(self, *, is_bound: bool) -> Future[Any]:
        """Return what a caller waits for."""
        self.has_free = self.has_free or not is_bound
        return self.bound if is_bound else self.free

    def refuse_bound(self, error: BaseException) -> None:
        """Fail the callers inside transactions, whose locks go when they do."""
        if not self.bound.done():
            self.bound.set_exception(error)

    def land(self, result: Any = None, error: BaseException | None = None) -> None:
        """Give everybody who still waits the outcome."""
        for future in (self.free, self.bound):
            if not future.done():
                future.set_exception(error) if error else future.set_result(result)


_flights: dict[Hashable, Flight] = {}
_lock = threading.Lock()


def _reset() -> None:
    # A forked child has the table but none of the threads: it would wait for ever, or for the lock itself.
    global _lock
    _lock = threading.Lock()
    _flights.clear()


os.register_at_fork(after_in_child=_reset)


def share(key: Hashable, using: str, work: Callable[[Flight], Any]) -> Future[Any]:
    """Have ``work(flight)`` done, or join whoever is at it under the same key; return the future to wait for."""
    is_joined = must_join(using)
    is_bound = not is_joined and in_transaction(using)
    with _lock:
        flight = _flights.get((using, key))
        is_leader = flight is None
        if flight is None:
            flight = _flights[using, key] = Flight()
        future = flight.join(is_bound=is_bound)
    if is_leader and is_joined:
        _fly((using, key), flight, work)
    elif is_leader:
        try:
            _start(lambda: _fly_apart(using, key, flight, work))
        except BaseException:  # a signal's; if the thread was not started yet, nobody would ever land this flight
            _flights.pop((using, key), None)
            raise
    return future


def apart(using: str, write: Callable[[], T]) -> T:
    """Return what ``write()`` returns, done on a connection of its own unless a test's transaction must be joined.

    Raises OperationalError within a second if the calling transaction itself is in the way.
    """
    if must_join(using):
        return write()
    seconds = BLOCKED_SECONDS if in_transaction(using) else conf.wait_seconds
    flight = Flight()
    _start(lambda: _fly_apart(using, None, flight, lambda _: persist(write, using, seconds)))
    try:
        result: T = flight.free.result(conf.wait_seconds + BLOCKED_SECONDS)
    except TimeoutError:
        raise OperationalError("another transaction holds what was to be written") from None
    return result


def look(using: str, read: Callable[[], T]) -> T:
    """Return what ``read()`` finds, without a lock that stays in the caller's transaction and blocks our own writing.

    A plain read locks the whole of SQLite, and at SERIALIZABLE the row in MySQL and MariaDB, until the transaction
    ends; in PostgreSQL never.
    """
    found = None
    if connections[using].vendor != "postgresql" and in_transaction(using) and not must_join(using):
        found = apart(using, read)
    return read() if found is None else found  # it may be there but not committed


def persist(write: Callable[[], T], using: str, seconds: float) -> T:
    """Write, and if the database is away write again: what an upstream answered can't be asked for a second time.

    Gives up after ``seconds``, and at once in a joined transaction, which is lost anyway.
    """
    give_up_at = time.monotonic() + seconds
    pause = 0.05
    while True:
        try:
            return write()
        except DATABASE_AWAY:
            if time.monotonic() > give_up_at or connections[using].in_atomic_block:
                raise
            connections[using].close()
            time.sleep(pause)
            pause = min(pause * 2, 1.0)


def is_under_way(key: Hashable, using: str) -> bool:
    """Tell whether this process is at it already."""
    return (using, key) in _flights


def must_join(using: str) -> bool:
    """Tell whether only the caller's own connection sees the rows: in a test case, or in SQLite's memory."""
    connection = connections[using]
    if connection.vendor == "sqlite" and connection.is_in_memory_db():  # type: ignore[attr-defined]
        return True
    return any(getattr(block, "_from_testcase", False) for block in connection.atomic_blocks)


def in_transaction(using: str) -> bool:
    """Tell whether the caller may hold locks: it is in ``atomic()``, or does without autocommit."""
    connection = connections[using]
    # Not get_autocommit(), which would connect: who isn't connected holds no locks.
    return connection.in_atomic_block or (connection.connection is not None and not connection.autocommit)


def _start(target: Callable[[], None]) -> None:
    try:
        threading.Thread(target=target, name="jwt_upstream refresh", daemon=False).start()
    except RuntimeError:  # the interpreter is shutting down and starts no more threads
        target()


def _fly_apart(using: str, key: Hashable, flight: Flight, work: Callable[[Flight], Any]) -> None:
    with private_connection(using):
        _fly((using, key), flight, work)


def _fly(key: Hashable, flight: Flight, work: Callable[[Flight], Any]) -> None:
    try:
        result = work(flight)
    except BaseException as error:  # the thread has nobody else to tell
        _flights.pop(key, None)
        flight.land(error=error)
    else:
        # First out of the table, then the result: who comes now starts anew and finds the row has moved on.
        _flights.pop(key, None)
        flight.land(result)


@contextmanager
def private_connection(using: str) -> Iterator[None]:
    """Give this thread a connection of its own to the same database, in autocommit and out of any pool.

    A pool is left alone since all of its connections may be held by callers that wait for us.
    """
    shared = connections[using]
    connections[using] = type(shared)(_private(shared), using)
    try:
        yield
    finally:
        connections.close_all()
        connections[using] = shared


def _private(connection: BaseDatabaseWrapper) -> dict[str, Any]:
    options = dict(connection.settings_dict.get("OPTIONS") or {})
    options.pop("pool", None)
    options.pop("isolation_level", None)
    if connection.vendor == "sqlite":
        options["timeout"] = SQLITE_TIMEOUT
    return {**connection.settings_dict, "OPTIONS": options, "CONN_MAX_AGE": 0, "AUTOCOMMIT": True}
