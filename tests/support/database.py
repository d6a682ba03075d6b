"""What tests do to the suite's database behind the app's back, and ask its server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction

from jwt_upstream.models import Credential
from tests.support.workers import FOREVER

is_sqlite = connection.vendor == "sqlite"


@contextmanager
def at_level(level: str) -> Iterator[None]:
    """Begin a transaction at an isolation level; SQLite has but one."""
    statement = f"SET TRANSACTION ISOLATION LEVEL {level}"
    if connection.vendor == "mysql":  # where it is set for the next transaction
        connection.cursor().execute(statement)
    with transaction.atomic():
        if connection.vendor == "postgresql":
            connection.cursor().execute(statement)
        yield


@contextmanager
def locked() -> Iterator[None]:
    """Hold the row; on SQLite the whole file, for readers too."""
    if is_sqlite:
        with connection.cursor() as cursor:
            cursor.execute("BEGIN EXCLUSIVE")
            yield
            cursor.execute("ROLLBACK")
    else:
        with transaction.atomic():
            list(Credential.objects.select_for_update())
            yield


@contextmanager
def replaced_by(file: str) -> Iterator[None]:
    """Use another SQLite file in the place of the suite's database; one that can't be opened is a database away."""
    ours, settings = connections[DEFAULT_DB_ALIAS], connections.databases[DEFAULT_DB_ALIAS]
    other = {**settings, "ENGINE": "django.db.backends.sqlite3", "NAME": file, "OPTIONS": {}}
    connections.databases[DEFAULT_DB_ALIAS] = other
    del connections[DEFAULT_DB_ALIAS]
    try:
        yield
    finally:
        replaced = connections[DEFAULT_DB_ALIAS]
        replaced.close()
        if replaced.connection is not None:  # Django keeps that of a database in memory open
            replaced.connection.close()
        connections.databases[DEFAULT_DB_ALIAS], connections[DEFAULT_DB_ALIAS] = settings, ours


def lock_for(seconds: float) -> threading.Thread:
    """Lock the database for a while; returns once it is."""
    is_locked = threading.Event()

    def hold() -> None:
        with locked():
            is_locked.set()
            threading.Event().wait(seconds)
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert is_locked.wait(FOREVER)
    return thread


def connections_to_the_server() -> set[int]:
    """Return the server's numbers of all connections to this database."""
    if is_sqlite:
        return set()
    asks = {
        "postgresql": "SELECT pid FROM pg_stat_activity WHERE datname = current_database()",
        "mysql": "SELECT id FROM information_schema.processlist WHERE db = database()",
    }
    with connection.cursor() as cursor:
        cursor.execute(asks[connection.vendor])
        return {number for (number,) in cursor.fetchall()}


def own_number() -> int:
    """Return the server's number of this thread's connection."""
    function = {"postgresql": "pg_backend_pid()", "mysql": "connection_id()", "sqlite": "0"}[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}")
        return int(cursor.fetchone()[0])


def cut(numbers: set[int]) -> None:
    """Have the server end connections."""
    with connection.cursor() as cursor:
        for number in numbers:
            cursor.execute(
                "SELECT pg_terminate_backend(%s)" if connection.vendor == "postgresql" else "KILL %s", [number]
            )


def long_transactions() -> int:
    """Return how many other connections to this database have been in a transaction for half a second."""
    asks = {
        "postgresql": """
            SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
            AND now() - xact_start > interval '0.5 s'""",
        "mysql": """
            SELECT count(*) FROM information_schema.innodb_trx
            JOIN information_schema.processlist ON id = trx_mysql_thread_id
            WHERE db = database() AND id <> connection_id() AND now(6) - trx_started > 0.5""",
        "sqlite": "SELECT 0",
    }
    with connection.cursor() as cursor:
        cursor.execute(asks[connection.vendor])
        return int(cursor.fetchone()[0])


def can_be_written() -> bool:
    """Write to the row at once, or raise: nobody has a lock on it, on SQLite on anything."""
    with transaction.atomic():
        if not is_sqlite:
            list(Credential.objects.select_for_update(nowait=True))
        return bool(Credential.objects.update(username="written meanwhile"))
