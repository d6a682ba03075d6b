"""What a database error means: the database is away for a while, a lock is held, or something is wrong for good."""

from __future__ import annotations

from django.db import Error, InterfaceError, OperationalError

# PostgreSQL's SQLSTATE, by class or whole (appendix A of its manual). Connection exceptions; transactions that were
# rolled back and may be tried again; resources, among them connection slots; shutdown, restart and cancelled
# statements; input and output. 25006: a standby, or a server that was made read-only for a failover. 25P03 and 25P04:
# the server ended an idle or long transaction. 26000: a pooler gave us another session than the one that prepared.
_SQLSTATES = ("08", "40", "53", "57", "58", "25006", "25P03", "25P04", "26000", "55P03")
_SQLSTATE_LOCKED = "55P03"

# MySQL's and MariaDB's numbers. No connection or a lost one:
_MYSQL_CONNECTION = {1040, 1042, 1043, 1053, 1077, 1079, 1080, 1129, 1152, 1158, 1159, 1160, 1161, 1184, 1203, 1226}
_MYSQL_CONNECTION |= {1927, 2002, 2003, 2005, 2006, 2012, 2013, 2026, 2055, 4031}
# Read-only, of a replica or during a failover; Galera that is not ready; killed or timed out; disk or memory is full.
_MYSQL_STATE = {1290, 1792, 1836, 1047, 1317, 1969, 3024, 1021, 1037, 1041, 1180}
# Locks, deadlocks, and snapshots that have moved on.
_MYSQL_LOCKED = {1205, 3572}
_MYSQL_RETRY = {1213, 1020}
_MYSQL = _MYSQL_CONNECTION | _MYSQL_STATE | _MYSQL_LOCKED | _MYSQL_RETRY

# SQLite's primary result codes: BUSY and LOCKED; NOMEM, READONLY, INTERRUPT, IOERR, FULL, CANTOPEN, PROTOCOL.
_SQLITE_LOCKED = {5, 6}
_SQLITE = _SQLITE_LOCKED | {7, 8, 9, 10, 13, 14, 15}


class Blocked(OperationalError):
    """Another transaction holds what was to be written for longer than anybody waits."""


def is_away(error: Error) -> bool:
    """Tell whether the same may work a little later: not reachable, shutting down, failing over, read-only, locked.

    A missing table, or a value that does not fit, is none of these.
    """
    code = _code(error)
    if isinstance(error, InterfaceError) or code is None:
        return isinstance(error, InterfaceError | OperationalError)
    if isinstance(code, str):
        return code.startswith(_SQLSTATES)
    return code in (_SQLITE if _is_sqlite(error) else _MYSQL)


def is_locked(error: Error) -> bool:
    """Tell whether another transaction holds what was to be locked or written."""
    if isinstance(error, Blocked):
        return True
    code = _code(error)
    if isinstance(code, str):
        return code == _SQLSTATE_LOCKED
    return code in (_SQLITE_LOCKED if _is_sqlite(error) else _MYSQL_LOCKED)


def _code(error: Error) -> str | int | None:
    """Return the driver's own code: PostgreSQL's SQLSTATE, or a number of MySQL's or SQLite's; None if unknown."""
    cause = error.__cause__
    if _is_sqlite(error):
        return int(cause.sqlite_errorcode) & 0xFF  # type: ignore[union-attr]  # the primary code of an extended one
    sqlstate = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)  # psycopg 3, psycopg2
    if sqlstate:
        return str(sqlstate)
    number = error.args[0] if error.args else None
    return number if isinstance(number, int) else None


def _is_sqlite(error: Error) -> bool:
    return hasattr(error.__cause__, "sqlite_errorcode")
