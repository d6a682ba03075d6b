"""The tasks for Celery and django.tasks: called, enqueued, and done by a real worker of each broker."""

from __future__ import annotations

import os
import runpy
import socket
import subprocess
import sys
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from celery import Celery
from django.utils import timezone

from jwt_upstream import tasks
from jwt_upstream.models import Credential, Event
from jwt_upstream.testing import logged_in
from tests.support import workers
from tests.support.pages import blocks
from tests.support.upstream import Answer, Upstream

BROKERS = {
    "redis": os.environ.get("TEST_REDIS", "redis://127.0.0.1:6379/11"),
    "rabbitmq": os.environ.get("TEST_RABBITMQ", "amqp://guest:guest@127.0.0.1:5672//"),
}
DONE = {"refreshed": 1, "failed": 0, "need_human": 0, "given_up": [], "told": 0}


@pytest.fixture
def due(upstream: Upstream) -> Credential:
    """A credential that has expired, and an event that is a hundred days old."""
    upstream.answers["/refresh"] = Answer(200, {"access": "new"})
    Event.objects.create(upstream="up", account="x", kind="failed", at=timezone.now() - timedelta(days=100))
    return logged_in("up", expires_in=-5)


@pytest.mark.django_db
def test_celery_tasks(due: Credential, settings: Any) -> None:
    """Celery's tasks do what the commands do, and are known by names that don't change."""
    assert tasks.celery_refresh_due() == DONE
    assert tasks.celery_prune() == {"events": 1, "refreshes": 0, "incidents": 0}
    names = [tasks.celery_refresh_due.name, tasks.celery_prune.name]
    assert names == ["jwt_upstream.refresh_due", "jwt_upstream.prune"]
    settings.JWT_UPSTREAM_EVENT_DAYS = None
    assert tasks.celery_prune() == {"events": 0, "refreshes": 0, "incidents": 0}


@pytest.mark.django_db(transaction=True)
def test_django_tasks(due: Credential) -> None:
    """Tasks of django.tasks are enqueued; the backend that is configured by default does them at once."""
    assert tasks.django_refresh_due.enqueue(ahead=30).return_value == DONE
    assert tasks.django_prune.enqueue().return_value == {"events": 1, "refreshes": 0, "incidents": 0}


@pytest.mark.django_db(transaction=True)
def test_lines_of_the_page(due: Credential) -> None:
    """The lines of howto/timers.rst enqueue both."""
    exec(next(blocks("howto/timers.rst", "python")), {})
    assert Credential.objects.get().pair.access == "new"
    assert not Event.objects.filter(account="x").exists()


def test_without_the_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a library isn't installed its tasks aren't there, and nothing else is missed."""
    for name in ("celery", "django.tasks", "django_tasks"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "jwt_upstream.tasks")
    names = runpy.run_module("jwt_upstream.tasks")
    assert not [name for name in names if name.startswith(("celery_", "django_"))]


@pytest.mark.slow
@pytest.mark.parametrize("broker", BROKERS)
@pytest.mark.django_db(transaction=True)
def test_celery_worker(due: Credential, broker: str) -> None:
    """A real Celery worker finds the tasks, and does them when they are sent by their names."""
    url = BROKERS[broker]
    _skip_without(url)
    queue = f"jwt_upstream_{uuid4().hex}"
    told = {**workers.environment(), "BROKER_URL": url, "QUEUE": queue}
    command = [sys.executable, "-m", "celery", "-A", "tests.support.celery_background:app", "worker"]
    options = ["--concurrency", "1", "--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "warning"]
    with Celery(broker=url, set_as_current=False) as app, subprocess.Popen([*command, *options], env=told) as worker:
        try:
            for name in ("jwt_upstream.refresh_due", "jwt_upstream.prune"):
                app.send_task(name, queue=queue)
            workers.until(lambda: Credential.objects.get().pair.access == "new")
            workers.until(lambda: not Event.objects.filter(account="x").exists())
        finally:
            worker.terminate()
            worker.wait(30)


def _skip_without(url: str) -> None:
    where = urlsplit(url)
    try:
        socket.create_connection((str(where.hostname), int(where.port or 0)), timeout=2).close()
    except OSError:
        pytest.skip(f"no broker at {where.hostname}:{where.port}")
