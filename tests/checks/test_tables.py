"""System checks of the tables in the database."""

from __future__ import annotations

import sys
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from jwt_upstream import checks
from tests.support.checks import found

pytestmark = pytest.mark.django_db


class Elsewhere:
    """A router by which the tables of this app are in no database."""

    def allow_migrate(self, *_: Any, **__: Any) -> bool:
        """Return that they are not."""
        return False


def test_migrated() -> None:
    """Nothing is said of a database that has all migrations."""
    assert checks.check_tables(databases=["default"]) == []


def test_not_migrated() -> None:
    """A migration that was not applied is a warning that names the command."""
    MigrationRecorder(connection).record_unapplied("jwt_upstream", "0001_initial")
    (message,) = checks.check_tables(databases=["default"])
    assert found([message]) == ["W009"]
    assert "0001_initial" in message.msg
    assert message.hint == "Run manage.py migrate jwt_upstream --database default."


def test_migrating(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever migrates for the first time is not told to migrate."""
    MigrationRecorder(connection).record_unapplied("jwt_upstream", "0001_initial")
    monkeypatch.setattr(sys, "argv", ["manage.py", "migrate"])
    assert checks.check_tables(databases=["default"]) == []


def test_other_databases(settings: Any) -> None:
    """Databases that were not named, and those where the tables don't belong, are not looked at."""
    MigrationRecorder(connection).record_unapplied("jwt_upstream", "0001_initial")
    assert checks.check_tables() == []
    assert checks.check_tables(databases=["other"]) == []
    settings.DATABASE_ROUTERS = [f"{__name__}.Elsewhere"]
    assert checks.check_tables(databases=["default"]) == []


def test_wiring() -> None:
    """manage.py check looks at the database with --database only."""
    MigrationRecorder(connection).record_unapplied("jwt_upstream", "0001_initial")
    output = StringIO()
    call_command("check", stderr=output)
    assert "W009" not in output.getvalue()
    call_command("check", databases=["default"], stderr=output)
    assert "jwt_upstream.W009" in output.getvalue()
