"""The statements that are written without Django's help: what they change, and that they read back the same."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.db.models.signals import post_save
from django.utils import timezone

from jwt_upstream.models import Credential, Event
from jwt_upstream.store import statements
from tests.support.database import is_sqlite, lock_for

USING = "default"

pytestmark = pytest.mark.django_db


@pytest.fixture
def row() -> Credential:
    """A credential whose columns have values of every kind."""
    row = Credential.objects.create(upstream="up", account="Ünal", state="active", obtained_for={"client": "c'1"})
    return Credential.objects.get(pk=row.pk)


def test_values_of_every_kind(row: Credential) -> None:
    """Tokens, moments, numbers and JSON are stored as Django stores them."""
    columns = {
        "access_token": row.seal("access_token", "a1"),
        "access_expires_at": timezone.now() + timedelta(hours=1),
        "generation": 2**40,
        "obtained_for": {"scope": 'ä "%s" \\'},
        "since": timezone.now(),
        "lease_expires_at": None,
    }
    statements.update(row, columns, USING)
    stored = Credential.objects.get()
    assert {name: getattr(stored, name) for name in columns} == columns
    assert stored.pair.access == "a1"


def test_unchanged_row(row: Credential) -> None:
    """A row is changed that is as it was read, and only that one."""
    other = Credential.objects.create(upstream="up", account="other")
    assert statements.update_unchanged(row, {"failures": 3}, ["account", "generation"], USING)
    assert [Credential.objects.get(pk=each.pk).failures for each in (row, other)] == [3, 0]


@pytest.mark.parametrize("change", [{"generation": 7}, {"account": "Unal"}, {"account": "ünal"}])
def test_row_that_has_moved_on(row: Credential, change: dict[str, Any]) -> None:
    """Nothing is changed if one of the named columns has another value by now."""
    Credential.objects.update(**change)
    assert not statements.update_unchanged(row, {"failures": 3}, ["account", "generation"], USING)
    assert Credential.objects.get().failures == 0


@pytest.mark.skipif(is_sqlite, reason="SQLite waits a moment for any writer")
@pytest.mark.django_db(transaction=True)
def test_row_that_is_locked(row: Credential) -> None:
    """Nobody waits for another transaction."""
    holder = lock_for(0.5)
    with pytest.raises(OperationalError):
        statements.update_unchanged(row, {"failures": 3}, ["generation"], USING)
    assert holder.is_alive()
    holder.join()


@pytest.mark.parametrize("returns_key", [True, False])
def test_inserted_row(row: Credential, returns_key: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row has its key, whether the statement returns that or the driver knows it, and Django's signal is sent."""
    if connection.vendor == "postgresql" and not returns_key:
        pytest.skip("PostgreSQL's drivers know no key")
    monkeypatch.setattr(connection.features, "can_return_columns_from_insert", returns_key)
    heard: list[Any] = []

    def hear(**told: Any) -> None:
        heard.append((told["instance"], told["created"], told["using"]))

    post_save.connect(hear, sender=Event)
    event = Event(credential=row, upstream="up", account="Ünal", kind="refreshed", seconds=0.25, reason="ä '%s' \\")
    statements.insert(event, USING)
    post_save.disconnect(hear, sender=Event)
    assert heard == [(event, True, USING)]
    stored = Event.objects.get()
    names = [field.attname for field in Event._meta.concrete_fields]
    assert {name: getattr(stored, name) for name in names} == {name: getattr(event, name) for name in names}
    assert (event._state.adding, event._state.db) == (False, USING)
