"""What errors of the three databases mean, by their own codes: away for a while, locked, or wrong for good."""

from __future__ import annotations

import pytest
from django.db import (
    DatabaseError,
    DataError,
    Error,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    connection,
)

from jwt_upstream.models import Credential
from jwt_upstream.store import is_away, is_locked
from jwt_upstream.store.failures import Blocked


def caused(error: Error, **attributes: object) -> Error:
    """Return a Django error as its driver's one led to it."""
    error.__cause__ = type("DriverError", (Exception,), attributes)()
    return error


AWAY = [
    OperationalError("could not connect"),
    InterfaceError("connection already closed"),
    caused(OperationalError("shutting down"), sqlstate="57P01"),
    caused(OperationalError("starting up"), sqlstate="57P03"),
    caused(OperationalError("lost"), sqlstate="08006"),
    caused(OperationalError("slots"), sqlstate="53300"),
    caused(OperationalError("deadlock"), sqlstate="40P01"),
    caused(OperationalError("serialization"), sqlstate="40001"),
    caused(InternalError("read-only"), sqlstate="25006"),
    caused(InternalError("idle in transaction"), pgcode="25P03"),
    caused(OperationalError("lock"), sqlstate="55P03"),
    OperationalError(2006, "gone away"),
    OperationalError(2013, "lost connection"),
    OperationalError(1040, "too many connections"),
    OperationalError(1053, "shutdown in progress"),
    OperationalError(1205, "lock wait timeout"),
    OperationalError(1213, "deadlock"),
    OperationalError(1020, "record has changed"),
    OperationalError(1290, "--read-only"),
    InternalError(1792, "READ ONLY transaction"),
    OperationalError(1927, "connection was killed"),
    caused(OperationalError("database is locked"), sqlite_errorcode=5),
    caused(OperationalError("busy snapshot"), sqlite_errorcode=5 | 2 << 8),
    caused(OperationalError("readonly"), sqlite_errorcode=8),
    caused(OperationalError("disk is full"), sqlite_errorcode=13),
    caused(OperationalError("unable to open"), sqlite_errorcode=14),
]
WRONG = [
    caused(ProgrammingError("no such table"), sqlstate="42P01"),
    caused(DataError("too long"), sqlstate="22001"),
    caused(OperationalError("no such table"), sqlite_errorcode=1),
    caused(NotSupportedError("no"), sqlstate="0A000"),
    ProgrammingError(1146, "no such table"),
    OperationalError(1054, "unknown column"),
    DataError(1406, "too long"),
    OperationalError(1045, "access denied"),
    DatabaseError("whatever"),
]


@pytest.mark.parametrize("error", AWAY, ids=str)
def test_away(error: Error) -> None:
    """An error after which the same may work a little later is one of a database that is away."""
    assert is_away(error)


@pytest.mark.parametrize("error", WRONG, ids=str)
def test_wrong_for_good(error: Error) -> None:
    """A missing table or column, a value that does not fit or a wrong password is told at once."""
    assert not is_away(error)
    assert not is_locked(error)


def test_locked() -> None:
    """A lock is told from a database that can't be reached, since the remedy is another one."""
    locked = {str(error) for error in [*AWAY, Blocked("waited")] if is_locked(error)}
    assert locked == {
        "waited",
        "lock",
        "(1205, 'lock wait timeout')",
        "database is locked",
        "busy snapshot",
    }


@pytest.mark.django_db
def test_missing_table_of_this_database() -> None:
    """The running driver's own error for a missing table is told at once."""
    with pytest.raises(Error) as caught, connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM there_is_no_such_table")
    assert not is_away(caught.value)


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite keeps no lengths")
@pytest.mark.django_db
def test_value_that_does_not_fit_this_database() -> None:
    """The running driver's own error for a value that is too long is told at once."""
    with pytest.raises(Error) as caught:
        Credential.objects.create(upstream="u" * 200)
    assert not is_away(caught.value)


def test_error_without_any_code() -> None:
    """A driver that is not known is judged by the class of the error."""
    assert is_away(OperationalError())
    assert not is_away(ProgrammingError())
