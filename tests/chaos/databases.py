"""A database of the run's own: made, reached by a relay, taken away for a while in each server's ways, and dropped."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.chaos.own_servers import OwnMariaDB, OwnPostgreSQL, OwnServer
from tests.support.relay import Relay

Fault = Callable[[float], None]

#: What only this run's processes log in with.
_PASSWORD = "chaos"


class Database:
    """The database of a run. ``url`` leads to it directly, ``url_by_relay`` as the processes of the run reach it.

    ``faults`` are the ways in which it can be away, each called with how many seconds.
    """

    vendor = ""
    url = url_by_relay = ""
    faults: dict[str, Fault]

    def drop(self) -> None:
        """Leave nothing behind."""

    def connections(self) -> int:
        """Return how many connections of the run's processes the server has."""
        return 0


class SQLite(Database):
    """A file, which is away while somebody else has the exclusive lock."""

    vendor = "sqlite"

    def __init__(self, folder: Path) -> None:
        self.path = folder / "chaos.sqlite3"
        self.url = self.url_by_relay = f"sqlite:///{self.path}"
        self.faults = {"exclusive lock": self._lock, "write lock": self._lock_for_writers}

    def _lock(self, seconds: float) -> None:
        self._hold("BEGIN EXCLUSIVE", seconds)

    def _lock_for_writers(self, seconds: float) -> None:
        self._hold("BEGIN IMMEDIATE", seconds)

    def _hold(self, begin: str, seconds: float) -> None:
        connection = sqlite3.connect(self.path, timeout=30, isolation_level=None)
        try:
            connection.execute(begin)
            time.sleep(seconds)
            connection.execute("ROLLBACK")
        finally:
            connection.close()


class _Server(Database):
    """What the servers have in common: a relay to them, and a user and a database of the run's own."""

    scheme, port = "", 0
    server: OwnServer | None = None

    def __init__(self, url: str) -> None:
        told = urlsplit(url)
        self.admin: dict[str, Any] = {
            "host": told.hostname or "127.0.0.1",
            "port": told.port or self.port,
            "user": unquote(told.username or ""),
            "password": unquote(told.password or ""),
            "database": told.path.strip("/"),
        }
        self.name = f"jwt_upstream_chaos_{os.getpid()}"
        self.relay = Relay(self.admin["host"], self.admin["port"])
        login = f"{self.scheme}://{self.name}:{_PASSWORD}"
        self.url = f"{login}@{self.admin['host']}:{self.admin['port']}/{self.name}"
        self.url_by_relay = f"{login}@127.0.0.1:{self.relay.port}/{self.name}"
        self.faults = {
            "connections cut": self._cut,
            "out of reach": self._close_relay,
            "network frozen": self._freeze_relay,
            "backends ended": self._end_backends,
            "no connection left": self._exhaust,
        }
        self.make()

    def make(self) -> None:
        """Make the user and the database."""
        raise NotImplementedError

    def execute(self, *statements: str) -> list[Any]:
        """Execute as the administrator; return the rows of the last one."""
        raise NotImplementedError

    def end_backends(self) -> None:
        """Have the server end every connection to the run's database."""
        raise NotImplementedError

    def limit(self, connections: int) -> None:
        """Allow the run's user so many connections, any number if that is negative."""
        raise NotImplementedError

    def _cut(self, seconds: float) -> None:
        for _ in range(int(min(seconds, 10))):
            self.relay.cut()
            time.sleep(1)

    def _close_relay(self, seconds: float) -> None:
        self.relay.close()
        time.sleep(seconds)
        self.relay.open()

    def _freeze_relay(self, seconds: float) -> None:
        self.relay.flows.clear()
        time.sleep(seconds)
        self.relay.flows.set()

    def _end_backends(self, seconds: float) -> None:
        for _ in range(int(min(seconds, 10))):
            self.end_backends()
            time.sleep(1)

    def _exhaust(self, seconds: float) -> None:
        self.limit(2)
        self.end_backends()
        time.sleep(seconds)
        self.limit(-1)


class PostgreSQL(_Server):
    """A database on a PostgreSQL server."""

    vendor, scheme, port = "postgresql", "postgres", 5432

    def make(self) -> None:
        """Make the role and the database."""
        self.faults["read-only"] = self._make_read_only
        self.execute(
            f"CREATE ROLE {self.name} LOGIN PASSWORD '{_PASSWORD}'", f"CREATE DATABASE {self.name} OWNER {self.name}"
        )

    def execute(self, *statements: str) -> list[Any]:
        """Execute as the administrator; return the rows of the last one."""
        import psycopg  # type: ignore[import-not-found, unused-ignore]  # only where it is the driver

        told = {**self.admin, "dbname": self.admin["database"]}
        told.pop("database")
        with psycopg.connect(**told, autocommit=True) as connection:
            cursors = [connection.execute(statement) for statement in statements]
            return cursors[-1].fetchall() if cursors[-1].description else []

    def end_backends(self) -> None:
        """Have the server end every connection to the run's database."""
        self.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self.name}'")

    def limit(self, connections: int) -> None:
        """Allow the role so many connections."""
        self.execute(f"ALTER ROLE {self.name} CONNECTION LIMIT {connections}")

    def connections(self) -> int:
        """Return how many connections of the run's processes the server has."""
        rows = self.execute(f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{self.name}'")
        return int(rows[0][0])

    def _make_read_only(self, seconds: float) -> None:
        self.execute(f"ALTER DATABASE {self.name} SET default_transaction_read_only = on")
        self.end_backends()
        time.sleep(seconds)
        self.execute(f"ALTER DATABASE {self.name} RESET default_transaction_read_only")
        self.end_backends()

    def drop(self) -> None:
        """Drop the database and the role, or the whole server if it is the run's own."""
        self.relay.close()
        if self.server:
            self.server.remove()
            return
        self.execute(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)", f"DROP ROLE IF EXISTS {self.name}")


class MariaDB(_Server):
    """A database on a MariaDB or MySQL server."""

    vendor, scheme, port = "mysql", "mysql", 3306

    @property
    def _users(self) -> list[str]:
        return [f"'{self.name}'@'%'", f"'{self.name}'@'localhost'"]

    def make(self) -> None:
        """Make the user and the database."""
        users = [
            statement
            for user in self._users
            for statement in (
                f"CREATE USER {user} IDENTIFIED BY '{_PASSWORD}'",
                f"GRANT ALL ON {self.name}.* TO {user}",
            )
        ]
        self.execute(f"CREATE DATABASE {self.name}", *users)

    def execute(self, *statements: str) -> list[Any]:
        """Execute as the administrator; return the rows of the last one."""
        import MySQLdb  # type: ignore[import-untyped, import-not-found, unused-ignore]

        connection = MySQLdb.connect(**self.admin, autocommit=True)
        try:
            cursor = connection.cursor()
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())
        finally:
            connection.close()

    def end_backends(self) -> None:
        """Have the server end every connection of the run's user."""
        for (number,) in self.execute(f"SELECT id FROM information_schema.processlist WHERE user = '{self.name}'"):
            try:
                self.execute(f"KILL {number}")
            except Exception:  # it has ended meanwhile
                continue

    def limit(self, connections: int) -> None:
        """Allow the user so many connections."""
        for user in self._users:
            self.execute(f"ALTER USER {user} WITH MAX_USER_CONNECTIONS {max(connections, 0)}")

    def connections(self) -> int:
        """Return how many connections of the run's processes the server has."""
        rows = self.execute(f"SELECT count(*) FROM information_schema.processlist WHERE user = '{self.name}'")
        return int(rows[0][0])

    def make_read_only(self, seconds: float) -> None:
        """Make the whole server read-only for a while, as a replica is."""
        self.execute("SET GLOBAL read_only = 1")
        self.end_backends()
        time.sleep(seconds)
        self.execute("SET GLOBAL read_only = 0")
        self.end_backends()

    def drop(self) -> None:
        """Drop the database and its users, or the whole server if it is the run's own."""
        self.relay.close()
        if self.server:
            self.server.remove()
            return
        self.execute(f"DROP DATABASE IF EXISTS {self.name}", *(f"DROP USER IF EXISTS {user}" for user in self._users))


def make(url: str, folder: Path, *, own_server: bool = False) -> Database:
    """Make a database on the server that a URL names, or on one of the run's own, or in a file of the run's folder."""
    vendor = urlsplit(url).scheme.partition("+")[0]
    if vendor.startswith("postgres"):
        return _on_own_server(PostgreSQL, OwnPostgreSQL()) if own_server else PostgreSQL(url)
    if vendor.startswith("mysql"):
        return _on_own_server(MariaDB, OwnMariaDB()) if own_server else MariaDB(url)
    return SQLite(folder)


def _on_own_server(kind: type[PostgreSQL | MariaDB], server: OwnServer) -> Database:
    try:
        database = kind(server.url)
    except BaseException:
        server.remove()
        raise
    database.faults |= server.faults
    if isinstance(database, MariaDB):
        database.faults["read-only"] = database.make_read_only
    database.server = server
    return database
