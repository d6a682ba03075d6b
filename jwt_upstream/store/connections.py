"""Connections of our own, on which a caller's transaction, rollback or timeout can't undo or block what is written."""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar

from django.db import Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from jwt_upstream.conf import conf
from jwt_upstream.idle import Idle
from jwt_upstream.process import PerProcess

from .failures import Blocked, is_away
from .history import committed_after_all, forget_recorded

T = TypeVar("T")

#: Our own locks last milliseconds, so one that is met for this long is held by somebody else's transaction.
BLOCKED_SECONDS = 0.5
#: How long SQLite waits for another writer. Short, since taking the lease is tried again anyway, and a blocked caller
#: should be told soon.
SQLITE_TIMEOUT = 0.3
#: How long SQLite's readers wait for a writer: as long as Django's own do by default.
_SQLITE_READ_SECONDS = 5.0
#: Seconds between two attempts to write while the database is away, growing from the first to the second. The second
#: is well below the time that a successor waits before it takes over: whoever holds an answer writes first.
_RETRY_SECONDS = (0.05, 0.25)
#: A server that does not answer must not hold up what is to be written; a project's own setting comes first.
_CONNECT_OPTIONS = {"postgresql": {"connect_timeout": 3}, "mysql": {"connect_timeout": 3}}
_WAIT_OPTIONS = {"sqlite": {"timeout": SQLITE_TIMEOUT}}
#: Where connecting takes longer than a whole refresh, as a session's process or thread has to be started.
_KEPT_VENDORS = ("postgresql", "mysql")
#: For how long a connection of ours may be idle, and used at all, and how many of them may be idle in a process. While
#: one is left behind, PostgreSQL drops no test database, but it waits for five seconds.
_IDLE_SECONDS = 2.0
_MOST_SECONDS = 60.0
_MOST_IDLE = 4


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
    run = _on_private_connection(using, future, work)
    try:
        threading.Thread(target=run, name="jwt_upstream refresh", daemon=False).start()
    except RuntimeError:  # the interpreter is shutting down and starts no more threads
        run()
    return future


def in_daemon_thread(using: str, work: Callable[[], T], name: str) -> Future[T]:
    """Start ``work()``, which the end of the process may cut short, as ``in_own_thread`` does.

    Raises RuntimeError if the interpreter is shutting down and starts no more threads.
    """
    future: Future[T] = Future()
    threading.Thread(target=_on_private_connection(using, future, work), name=name, daemon=True).start()
    return future


def _on_private_connection(using: str, future: Future[T], work: Callable[[], T]) -> Callable[[], None]:
    # A thread's own connection would begin with the public schema, where each tenant has one.
    tenant = Tenant.of(connections[using])

    def run() -> None:
        with private_connection(using, tenant):
            _resolve(future, work)

    return run


def _resolve(future: Future[T], work: Callable[[], T]) -> None:
    try:
        result = work()
    except BaseException as error:  # the thread has nobody else to tell
        future.set_exception(error)
    else:
        future.set_result(result)


def run_on_own_connection(
    using: str,
    write: Callable[[], T],
    then: Callable[[T], None] = lambda _: None,
    blocked_seconds: float = BLOCKED_SECONDS,
    seconds: float | None = None,
) -> T:
    """Return what ``write()`` returns, done on a connection of its own unless a test's transaction must be joined.

    ``then`` is told what was written, also if the caller has given up by then. Raises OperationalError after
    ``seconds``, by default JWT_UPSTREAM_WAIT_SECONDS, and after ``blocked_seconds`` if the calling transaction itself
    may have been in the way.
    """
    joins_caller = must_join(using)
    seconds = conf.wait_seconds if seconds is None else seconds
    patience = blocked_seconds if in_transaction(using) else seconds

    def work() -> T:
        written = write() if joins_caller else write_with_retry(write, using, patience)
        then(written)
        return written

    if joins_caller:
        return work()
    future = in_own_thread(using, work)
    try:
        return future.result(seconds + BLOCKED_SECONDS)
    except TimeoutError:
        raise Blocked("another transaction holds what was to be written") from None


def read_without_lock(using: str, read: Callable[[], T]) -> T:
    """Return what ``read()`` finds, without a lock that stays in the caller's transaction and blocks our own writes.

    A plain read locks the whole of SQLite, and at SERIALIZABLE the row in MySQL and MariaDB, until the transaction
    ends; in PostgreSQL it never does.
    """
    found, vendor = None, connections[using].vendor
    if vendor != "postgresql" and in_transaction(using) and not must_join(using):
        # On SQLite the calling transaction is hardly in the way: others may read until it commits.
        seconds = _SQLITE_READ_SECONDS if vendor == "sqlite" else BLOCKED_SECONDS
        found = run_on_own_connection(using, read, blocked_seconds=seconds)
    return read() if found is None else found  # it may be there but not committed


def write_with_retry(
    write: Callable[[], T],
    using: str,
    seconds: float,
) -> T:
    """Write, and write again while the database is away: an upstream's answer can't be asked for a second time.

    Gives up after ``seconds``, and at once in a joined transaction, which is lost anyway. Any other error of the
    database, such as a missing table, is raised at once. An event whose commit was not acknowledged is recognized, and
    returned in place of a second one.
    """
    forget_recorded()
    give_up_at = time.monotonic() + seconds
    pause, longest_pause = _RETRY_SECONDS
    is_first = True
    while True:
        try:
            written: Any = None if is_first else committed_after_all(using)
            return write() if written is None else written
        except Error as error:
            if not is_away(error) or time.monotonic() > give_up_at or connections[using].in_atomic_block:
                raise
            is_first = False
            reconnect(using)
            time.sleep(pause)
            pause = min(pause * 2, longest_pause)


def reconnect(using: str) -> None:
    """Have the next query open a new connection: Django keeps using one that the server has cut."""
    if not connections[using].in_atomic_block:
        connections[using].close()


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


class Tenant(NamedTuple):
    """What a connection looks at where each tenant has a schema (django-tenants and its relatives)."""

    schema: str
    tenant: Any

    @classmethod
    def of(cls, connection: BaseDatabaseWrapper) -> Tenant | None:
        """Return what a connection looks at just now, None where databases have no tenants."""
        schema = getattr(connection, "schema_name", None)
        return cls(schema, getattr(connection, "tenant", None)) if isinstance(schema, str) else None

    def apply_to(self, connection: Any) -> None:
        """Have another connection look at the same."""
        if self.tenant is not None:
            connection.set_tenant(self.tenant)
        else:
            connection.set_schema(self.schema)


def has_schemas(using: str) -> bool:
    """Tell whether each tenant has a schema of its own, which a connection is told of."""
    return hasattr(connections[using], "schema_name")


def scope(using: str) -> tuple[str, str]:
    """Return the database and the schema in which a row's key, or an account's name, means something."""
    return using, getattr(connections[using], "schema_name", None) or ""


@contextmanager
def private_connection(using: str, tenant: Tenant | None = None) -> Iterator[None]:
    """Give this thread a connection of its own to the same database, in autocommit and outside of any pool.

    A pool is left alone since callers that wait for us may hold all of its connections. Where such connections are
    wanted often, one is kept for the next, of the same tenant.
    """
    shared = connections[using]
    settings = _private_settings(shared)
    key = type(shared), using, tenant.schema if tenant else None
    is_usable = partial(_is_usable, settings=settings)
    with _idle().borrowed(key, partial(type(shared), settings, using), is_usable, _is_keepable) as private:
        connections[using] = private
        if tenant:
            tenant.apply_to(private)
        try:
            yield
        finally:
            del connections[using]
            connections.close_all()
            connections[using] = shared


def _is_usable(private: BaseDatabaseWrapper, settings: dict[str, Any]) -> bool:
    # A restarted server, a session that was killed: it is asked. The settings change as test databases come and go.
    return private.settings_dict == settings and private.is_usable()


def _is_keepable(private: BaseDatabaseWrapper) -> bool:
    if private.vendor not in _KEPT_VENDORS or private.connection is None:
        return False
    private.inc_thread_sharing()  # the next thread's, and that of whoever closes it
    is_clean = not (private.in_atomic_block or private.needs_rollback or private.errors_occurred)
    return is_clean and private.get_autocommit()


def _close(private: BaseDatabaseWrapper) -> None:
    with suppress(Error):  # the server has closed it already
        private.close()


def _forget(idle: Idle[BaseDatabaseWrapper]) -> None:
    """Let go of a parent's sessions, which some drivers would end if they were told to close them."""
    with open(os.devnull, "rb") as nothing:
        for private in idle.values():
            os.dup2(nothing.fileno(), private.connection.fileno())


_idle = PerProcess(partial(Idle, _close, _IDLE_SECONDS, _MOST_SECONDS, _MOST_IDLE), _forget)


def close_idle() -> None:
    """Close the connections that nobody uses."""
    _idle().close()


# In a forked child nothing of its parent's is closed by this.
atexit.register(close_idle)


def _private_settings(connection: BaseDatabaseWrapper) -> dict[str, Any]:
    options = dict(connection.settings_dict.get("OPTIONS") or {})
    options.pop("pool", None)
    options.pop("isolation_level", None)
    options = {**_CONNECT_OPTIONS.get(connection.vendor, {}), **options, **_WAIT_OPTIONS.get(connection.vendor, {})}
    return {**connection.settings_dict, "OPTIONS": options, "CONN_MAX_AGE": 0, "AUTOCOMMIT": True}
