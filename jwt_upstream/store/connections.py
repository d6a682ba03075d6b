"""Connections of our own, on which a caller's transaction, rollback or timeout can't undo or block what is written."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from django.db import InterfaceError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from jwt_upstream.conf import conf

T = TypeVar("T")

#: What drivers raise when a server is away, a lock is not to be had, or a transaction must be tried again.
DATABASE_AWAY = (OperationalError, InterfaceError)

#: Our own locks last milliseconds, so one that is met for this long is held by somebody else's transaction.
BLOCKED_SECONDS = 0.5
#: How long SQLite waits for another writer. Short, since taking the lease is tried again anyway, and a blocked caller
#: should be told soon.
SQLITE_TIMEOUT = 0.3
#: Seconds between two attempts to write while the database is away, growing from the first to the second.
_RETRY_SECONDS = (0.05, 1.0)


class Run(Protocol):
    """Calls what it is given and returns the result, in whatever thread the caller's connection belongs to."""

    def __call__(self, work: Callable[[], T], /) -> T: ...


def directly(work: Callable[[], T]) -> T:
    """Call in this thread: what sync code needs."""
    return work()


def in_own_thread(using: str, work: Callable[[], T]) -> Future[T]:
    """Start ``work()`` in a thread with a connection of its own; return the future of its result.

    The thread is not a daemon, so that the end of the process doesn't cut a refresh short.
    """
    future: Future[T] = Future()

    def run() -> None:
        with private_connection(using):
            _resolve(future, work)

    try:
        threading.Thread(target=run, name="jwt_upstream refresh", daemon=False).start()
    except RuntimeError:  # the interpreter is shutting down and starts no more threads
        run()
    return future


def _resolve(future: Future[T], work: Callable[[], T]) -> None:
    try:
        result = work()
    except BaseException as error:  # the thread has nobody else to tell
        future.set_exception(error)
    else:
        future.set_result(result)


def run_on_own_connection(using: str, write: Callable[[], T]) -> T:
    """Return what ``write()`` returns, done on a connection of its own unless a test's transaction must be joined.

    Raises OperationalError within a second if the calling transaction itself is in the way.
    """
    if must_join(using):
        return write()
    seconds = BLOCKED_SECONDS if in_transaction(using) else conf.wait_seconds
    future = in_own_thread(using, lambda: write_with_retry(write, using, seconds))
    try:
        return future.result(conf.wait_seconds + BLOCKED_SECONDS)
    except TimeoutError:
        raise OperationalError("another transaction holds what was to be written") from None


def read_without_lock(using: str, read: Callable[[], T]) -> T:
    """Return what ``read()`` finds, without a lock that stays in the caller's transaction and blocks our own writes.

    A plain read locks the whole of SQLite, and at SERIALIZABLE the row in MySQL and MariaDB, until the transaction
    ends; in PostgreSQL it never does.
    """
    found = None
    if connections[using].vendor != "postgresql" and in_transaction(using) and not must_join(using):
        found = run_on_own_connection(using, read)
    return read() if found is None else found  # it may be there but not committed


def write_with_retry(write: Callable[[], T], using: str, seconds: float) -> T:
    """Write, and write again while the database is away: an upstream's answer can't be asked for a second time.

    Gives up after ``seconds``, and at once in a joined transaction, which is lost anyway.
    """
    give_up_at = time.monotonic() + seconds
    pause, longest_pause = _RETRY_SECONDS
    while True:
        try:
            return write()
        except DATABASE_AWAY:
            if time.monotonic() > give_up_at or connections[using].in_atomic_block:
                raise
            connections[using].close()
            time.sleep(pause)
            pause = min(pause * 2, longest_pause)


def must_join(using: str) -> bool:
    """Tell whether only the caller's own connection sees the rows: in a test case, or in SQLite's memory."""
    connection = connections[using]
    if connection.vendor == "sqlite" and connection.is_in_memory_db():  # type: ignore[attr-defined]
        return True
    return any(getattr(block, "_from_testcase", False) for block in connection.atomic_blocks)


def in_transaction(using: str) -> bool:
    """Tell whether the caller may hold locks: it is in ``atomic()``, or has autocommit turned off."""
    connection = connections[using]
    # Not get_autocommit(), which would connect: who isn't connected holds no locks.
    return connection.in_atomic_block or (connection.connection is not None and not connection.autocommit)


@contextmanager
def private_connection(using: str) -> Iterator[None]:
    """Give this thread a connection of its own to the same database, in autocommit and outside of any pool.

    A pool is left alone since callers that wait for us may hold all of its connections.
    """
    shared = connections[using]
    connections[using] = type(shared)(_private_settings(shared), using)
    try:
        yield
    finally:
        connections.close_all()
        connections[using] = shared


def _private_settings(connection: BaseDatabaseWrapper) -> dict[str, Any]:
    options = dict(connection.settings_dict.get("OPTIONS") or {})
    options.pop("pool", None)
    options.pop("isolation_level", None)
    if connection.vendor == "sqlite":
        options["timeout"] = SQLITE_TIMEOUT
    return {**connection.settings_dict, "OPTIONS": options, "CONN_MAX_AGE": 0, "AUTOCOMMIT": True}
