"""Fixtures: a real upstream, the settings that point at it, and a client which is logged in."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from django.contrib.contenttypes.management import create_contenttypes
from django.contrib.contenttypes.models import ContentType
from django.core.management.color import no_style
from django.core.management.sql import sql_flush
from django.db import connection, connections
from django.db.models.signals import post_migrate
from django.test import TransactionTestCase

from jwt_upstream.alerts import deliver
from jwt_upstream.backends.core import transport
from jwt_upstream.client import UpstreamClient
from jwt_upstream.models import Credential
from jwt_upstream.pytest_plugin import fake_upstream as fake_upstream  # where the package isn't installed
from jwt_upstream.store import connections as private_connections
from jwt_upstream.store import outbox
from tests.support.authorization_server import AuthorizationServer
from tests.support.upstream import Upstream


def pytest_xdist_auto_num_workers() -> int:
    """Have a worker more than there are cores, since many tests wait: for a timeout, a poll, another process.

    With another one more, what each takes to collect all tests takes longer than is won.
    """
    return (os.cpu_count() or 1) + 1


def pytest_collection_finish() -> None:
    """Look for garbage no more in what is there by now and lasts, which takes longer than most tests each time."""
    gc.freeze()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """The suite's database, whose tables are emptied after a test that committed, and stay empty.

    Django would parse the arguments of a command, ask all apps, and fill in the names of models and permissions again,
    which takes longer than most tests.
    """
    post_migrate.disconnect(dispatch_uid="django.contrib.auth.management.create_permissions")
    post_migrate.disconnect(create_contenttypes)
    TransactionTestCase._fixture_teardown = _empty_tables  # type: ignore[attr-defined]
    if connection.vendor == "postgresql":
        # TRUNCATE makes a new file of each table and waits for the disk: most of the time of these tests.
        connection.ops.sql_flush = _deletions  # type: ignore[method-assign]
    yield
    if connection.vendor == "postgresql":
        with django_db_blocker.unblock():
            _end_other_sessions()


def _empty_tables(case: Any) -> None:
    for alias in case._databases_names(include_mirrors=False):
        own = connections[alias]
        own.ops.execute_sql_flush(sql_flush(no_style(), own, reset_sequences=False))


def _end_other_sessions() -> None:
    """Let PostgreSQL drop the database although a test's daemon thread may still be looking at it, on a busy machine.

    That nothing of the package leaves a connection behind is shown by tests of its own.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def _deletions(style: Any, tables: Iterable[str], **_: Any) -> list[str]:
    """Return what empties tables; in one transaction, at whose end foreign keys are checked."""
    return [f"DELETE FROM {connection.ops.quote_name(table)}" for table in tables]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Have what is to be told told before anybody goes on, in place of a moment later in a thread of its own.

    Not in a fixture, which would take longer than many tests.
    """
    ContentType.objects.clear_cache()  # Django keeps those it has seen; their rows are gone by now
    private_connections.close_idle()  # what is kept for the next refresh is not kept for the next test
    transport.close_idle()
    outbox.passed.disconnect(dispatch_uid="jwt_upstream.alerts")
    outbox.passed.connect(_tell, dispatch_uid="jwt_upstream.alerts", weak=False)


def _tell(is_written: bool, **_: Any) -> None:
    if is_written:
        deliver()


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
def drive(upstream: Upstream, settings: Any) -> AuthorizationServer:
    """The same server with a login by a browser, configured as "drive" beside "up"."""
    return AuthorizationServer(upstream, settings)


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
