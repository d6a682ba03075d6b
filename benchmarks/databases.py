"""The databases of a run: made before it, destroyed after it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import django
from django.db import connections

from benchmarks.settings import Router

NAMES = {"default": "SQLite", "postgresql": "PostgreSQL", "mariadb": "MariaDB"}


@contextmanager
def made() -> Iterator[list[str]]:
    """Make an empty database on each server that answers; give their aliases."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"
    django.setup()
    # What a run that was killed has left would not fit a new file.
    for ending in ("-wal", "-shm"):
        Path(f"{connections['default'].settings_dict['TEST']['NAME']}{ending}").unlink(missing_ok=True)
    names = {alias: str(connections[alias].settings_dict["NAME"]) for alias in connections}
    for alias in names:
        use(alias)
        connections[alias].creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        yield list(names)
    finally:
        for alias, name in names.items():
            connections[alias].creation.destroy_test_db(name, verbosity=0)


def use(alias: str) -> None:
    """Have Django and the app use one of them."""
    Router.alias = alias


def usual(aliases: list[str]) -> str:
    """Return the one to measure on what is no matter of the database: PostgreSQL where it answers."""
    return aliases[min(1, len(aliases) - 1)]


def environment() -> dict[str, str]:
    """Return the environment of a worker process, which has the same database in use."""
    return {
        **os.environ,
        "BENCHMARK_WORKER": "1",
        "BENCHMARK_DATABASE": Router.alias,
        "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
    }


def version(alias: str) -> str:
    """Name the database and its version."""
    connection = connections[alias]
    with connection.cursor() as cursor:
        cursor.execute("SELECT sqlite_version()" if connection.vendor == "sqlite" else "SELECT version()")
        said = cursor.fetchone()[0]
    return f"{connection.display_name} {said.removeprefix('PostgreSQL ').split('-')[0].split(' ')[0]}"
