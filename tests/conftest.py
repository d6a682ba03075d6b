"""Fixtures: a real upstream, the settings that point at it, and a client which is logged in."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from django.contrib.contenttypes.management import create_contenttypes
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.db.models.signals import post_migrate

from jwt_upstream.client import UpstreamClient
from jwt_upstream.models import Credential
from tests.support.upstream import Upstream


def pytest_xdist_auto_num_workers() -> int:
    """Have a worker more than there are cores, since many tests wait: for a timeout, a poll, another process."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> None:
    """The suite's database, which stays empty when a test's tables were flushed.

    Django would fill in the names of models and permissions again, which takes longer than most tests.
    """
    post_migrate.disconnect(dispatch_uid="django.contrib.auth.management.create_permissions")
    post_migrate.disconnect(create_contenttypes)
    if connection.vendor == "postgresql":
        # TRUNCATE makes a new file of each table and waits for the disk: most of the time of these tests.
        connection.ops.sql_flush = _deletions  # type: ignore[method-assign]


def _deletions(style: Any, tables: Iterable[str], **_: Any) -> list[str]:
    """Return what empties tables; in one transaction, at whose end foreign keys are checked."""
    return [f"DELETE FROM {connection.ops.quote_name(table)}" for table in tables]


@pytest.fixture(autouse=True)
def no_content_types_of_other_tests() -> None:
    """Django keeps the content types it has seen; their rows are gone by now."""
    ContentType.objects.clear_cache()


@pytest.fixture
def upstream(settings: Any) -> Iterator[Upstream]:
    """A real HTTP upstream, configured as "up"."""
    with Upstream() as server:
        settings.JWT_UPSTREAM = {
            "up": {
                "BACKEND": "jwt_upstream.backends.Backend",
                "BASE_URL": server.url,
                "OPTIONS": {"refresh_fields": {"refresh": "{refresh}"}},
            }
        }
        yield server


@pytest.fixture
def client(upstream: Upstream, transactional_db: None) -> Iterator[UpstreamClient]:
    """A client of "up" which is logged in; the database is as in production, not one big transaction."""
    client = UpstreamClient("up")
    client.login(username=upstream.user, password=upstream.password)
    upstream.seen.clear()
    yield client
    # A refresh that nobody waited for must not go on in the next test's database.
    for thread in threading.enumerate():
        if thread.name == "jwt_upstream refresh":
            thread.join(20)


@pytest.fixture
def credential(client: UpstreamClient) -> Credential:
    """The row behind ``client``."""
    return Credential.objects.get()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What lets another thread go on, at the latest when the test is over."""
    gate = threading.Event()
    yield gate
    gate.set()
