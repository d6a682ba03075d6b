"""Upgrades of the database: nothing has been released yet, so the first migration is the state that is upgraded."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from jwt_upstream.models import Credential, Event, Incident, Notice

#: The last migration of the oldest release that can be upgraded.
OLDEST = ("jwt_upstream", "0001_initial")
THEN = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture
def oldest(transactional_db: None) -> Iterator[MigrationExecutor]:
    """Empty tables as the oldest release made them; today's are there again afterwards."""
    call_command("migrate", "jwt_upstream", "zero", verbosity=0)
    executor = MigrationExecutor(connection)
    executor.migrate([OLDEST])
    yield executor
    call_command("migrate", "jwt_upstream", verbosity=0)


def test_rows_are_kept(oldest: MigrationExecutor) -> None:
    """Tokens, state, history and what admins are yet to be told outlast an upgrade from the oldest release."""
    old = oldest.loader.project_state([OLDEST]).apps
    named = {"upstream": "crm", "account": "acme"}
    tokens = {"access_token": "an access token", "refresh_token": "a refresh token", "access_expires_at": THEN}
    credential = old.get_model(OLDEST[0], "Credential").objects.create(**named, **tokens, state="locked", generation=7)
    event = {"at": THEN, "kind": "locked", "reason": "Account is disabled."}
    old.get_model(OLDEST[0], "Event").objects.create(**named, **event, credential=credential)
    incident = old.get_model(OLDEST[0], "Incident").objects.create(**named, kind="locked", credential=credential)
    old.get_model(OLDEST[0], "Notice").objects.create(**named, notifier="mail", kind="opened", incident=incident)

    call_command("migrate", "jwt_upstream", verbosity=0)

    assert Credential.objects.filter(**named, state="locked", generation=7, access_expires_at=THEN).exists()
    kept = Credential.objects.get()
    assert (kept.access_token.open(), kept.refresh_token.open()) == ("an access token", "a refresh token")
    assert Event.objects.filter(**named, **event, credential=kept).count() == 1
    assert Incident.objects.filter(**named, kind="locked", credential=kept, is_open=True).count() == 1
    assert Notice.objects.filter(**named, notifier="mail", kind="opened", incident__credential=kept).count() == 1


@pytest.mark.django_db
def test_columns() -> None:
    """What the migrations make of an empty database has the columns of the models, and which of them may be null."""
    for model in apps.get_app_config("jwt_upstream").get_models():
        with connection.cursor() as cursor:
            columns = connection.introspection.get_table_description(cursor, model._meta.db_table)
        found = {column.name: bool(column.null_ok) for column in columns}
        assert found == {field.column: field.null for field in model._meta.local_fields}
