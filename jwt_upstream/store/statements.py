"""Statements of each refresh, as SQL: Django takes longer to write them than the database to carry them out.

Values are converted by the model's fields. Updates send no signal, as with ``QuerySet.update``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.signals import post_save

#: By the database; MySQL's is in whole seconds, and lasts for the session, which is one of our own.
_LIMIT_WAIT = {
    "postgresql": "SET LOCAL lock_timeout = '500ms'",
    "mysql": "SET SESSION innodb_lock_wait_timeout = 1",
}


def update(row: models.Model, columns: Mapping[str, Any], using: str) -> None:
    """Change the columns of a row, whatever else has changed in it."""
    _update(row, columns, f"{connections[using].ops.quote_name('id')} = %s", [row.pk], using)


def update_unchanged(row: models.Model, columns: Mapping[str, Any], names: Iterable[str], using: str) -> bool:
    """Change the columns of a row, in a transaction, if those of these names are in the database as in the row.

    Tells whether they were. Raises the database's error at once if another transaction holds the row, where the
    database can do that (``NOWAIT``).
    """
    connection = connections[using]
    conditions, values = _equal(row, ["id", *names], connection)
    if not connection.features.has_select_for_update:
        return _update(row, columns, conditions, values, using)
    quote = connection.ops.quote_name
    lock = connection.ops.for_update_sql(**lock_options(using))
    find = f"SELECT {quote('id')} FROM {quote(row._meta.db_table)} WHERE {conditions} {lock}"
    if connection.vendor == "postgresql":
        return _update(row, columns, f"{quote('id')} = ({find})", values, using)
    with connection.cursor() as cursor:  # elsewhere a statement can't both change a table and select from it
        cursor.execute(find, values)
        return cursor.fetchone() is not None and _update(row, columns, f"{quote('id')} = %s", [row.pk], using)


def insert(row: models.Model, using: str) -> None:
    """Append a row, which gets its key; sends ``post_save``."""
    connection, table = connections[using], row._meta.db_table
    quote = connection.ops.quote_name
    fields: list[Any] = [field for field in row._meta.local_concrete_fields if not field.primary_key]
    names, marks = (", ".join(each) for each in zip(*((quote(field.column), "%s") for field in fields), strict=True))
    sql = f"INSERT INTO {quote(table)} ({names}) VALUES ({marks})"
    with connection.cursor() as cursor:
        if connection.features.can_return_columns_from_insert:
            cursor.execute(f"{sql} RETURNING {quote('id')}", _values(row, fields, connection))
            row.pk = cursor.fetchone()[0]
        else:  # MySQL
            cursor.execute(sql, _values(row, fields, connection))
            row.pk = connection.ops.last_insert_id(cursor, table, "id")
    row._state.adding, row._state.db = False, using
    post_save.send(type(row), instance=row, created=True, raw=False, using=using, update_fields=None)


def is_any(like: models.Model, names: Iterable[str], column: str, values: list[str], using: str) -> bool:
    """Tell whether there is a row with the same in the columns of these names, and one of the values in another."""
    connection = connections[using]
    quote = connection.ops.quote_name
    conditions, same = _equal(like, names, connection)
    among = f"{quote(column)} IN ({', '.join(['%s'] * len(values))})"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT 1 FROM {quote(like._meta.db_table)} WHERE {conditions} AND {among}", [*same, *values])
        return cursor.fetchone() is not None


def lock_options(using: str) -> dict[str, Any]:
    """Return how rows are locked: without waiting, and as weakly as will do."""
    # Never waits: it could be for our own caller, who waits for us. no_key: a plain FOR UPDATE makes inserts of events
    # wait on PostgreSQL (measured: 818 ms against 1 ms).
    features = connections[using].features
    return {
        "nowait": features.has_select_for_update_nowait,
        "no_key": features.has_select_for_no_key_update,
    }


def limit_wait(using: str) -> None:
    """Have the rest of a transaction wait for others' locks no longer than a moment, unless the transaction is joined.

    An insert knows no ``NOWAIT``: it waits for who has inserted or deleted the same, who may be our own caller, and
    would be carried out once nobody expects it any more.
    """
    connection = connections[using]
    statement = _LIMIT_WAIT.get(connection.vendor)
    if statement and not connection.savepoint_ids:
        with connection.cursor() as cursor:
            cursor.execute(statement)


def _update(row: models.Model, columns: Mapping[str, Any], where: str, values: list[Any], using: str) -> bool:
    connection, fields = connections[using], _fields(row, columns)
    quote = connection.ops.quote_name
    changes = ", ".join(f"{quote(field.column)} = %s" for field in fields)
    new = [field.get_db_prep_save(columns[field.name], connection) for field in fields]
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {quote(row._meta.db_table)} SET {changes} WHERE {where}", [*new, *values])
        return bool(cursor.rowcount)


def _equal(row: models.Model, names: Iterable[str], connection: BaseDatabaseWrapper) -> tuple[str, list[Any]]:
    fields = _fields(row, names)
    values = _values(row, fields, connection)
    conditions = (
        f"{connection.ops.quote_name(field.column)} {'IS NULL' if value is None else '= %s'}"
        for field, value in zip(fields, values, strict=True)
    )
    return " AND ".join(conditions), [value for value in values if value is not None]


def _fields(row: models.Model, names: Iterable[str]) -> list[Any]:
    return [row._meta.get_field(name) for name in names]


def _values(row: models.Model, fields: Iterable[Any], connection: BaseDatabaseWrapper) -> list[Any]:
    return [field.get_db_prep_save(getattr(row, field.attname), connection) for field in fields]
