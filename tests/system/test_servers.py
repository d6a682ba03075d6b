"""Servers and task queues that fork: each call is made by one of several processes and gets its own answer.

Every site has called the upstream before it was forked, so there is a connection, a token and a client to inherit.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import requests

from jwt_upstream.client import UpstreamClient
from jwt_upstream.models import Credential
from tests.support import workers, workers_that_fork
from tests.support.servers import CELERY_FOLDER, Connections, gunicorn, gunicorn_with_gevent, running, uwsgi
from tests.support.upstream import Seen, Upstream
from tests.support.workers import FOREVER, await_ready, go_on

pytestmark = pytest.mark.slow

CALLS = 300
PROCESSES = 3

Server = Callable[..., AbstractContextManager[str]]

SERVERS: dict[str, tuple[Server, list[str]]] = {
    "uWSGI": (uwsgi, ["--master", "--processes", "3"]),
    "uWSGI without a master": (uwsgi, ["--processes", "3"]),
    "uWSGI with threads": (uwsgi, ["--master", "--processes", "3", "--threads", "4"]),
    "uWSGI with fork hooks": (uwsgi, ["--master", "--processes", "3", "--enable-threads", "--py-call-osafterfork"]),
    "gunicorn": (gunicorn, ["--workers", "3"]),
    "gunicorn with threads": (gunicorn, ["--workers", "3", "--threads", "4"]),
    "gunicorn with gevent": (gunicorn_with_gevent, ["--workers", "3"]),
}


@pytest.fixture
def connections_heard(client: UpstreamClient, upstream: Upstream) -> Connections:
    """An upstream that takes its time, so that calls of several processes are under way at the same time."""
    heard = Connections(upstream)
    note = upstream.answers["/orders/"]

    def slowly(seen: Seen) -> None:
        time.sleep(0.01)
        note(seen)  # type: ignore[operator]

    upstream.answers["/orders/"] = slowly
    return heard


@pytest.mark.parametrize("name", SERVERS)
def test_server(upstream: Upstream, connections_heard: Connections, tmp_path: Path, name: str) -> None:
    """A few hundred requests get the answers to their own calls, and the token that expires is refreshed once."""
    serve, options = SERVERS[name]
    served_by: set[int] = set()

    def ask(number: int) -> str:
        answer = requests.get(f"{url}orders/", {"number": number}, timeout=FOREVER).json()
        served_by.add(answer["pid"])
        return str(answer["outcome"])

    with serve(*options, home=tmp_path) as url, ThreadPoolExecutor(12) as threads:
        outcomes = list(threads.map(ask, range(CALLS // 3)))
        upstream.expire()
        outcomes += threads.map(ask, range(CALLS // 3, CALLS))
        for _ in range(50):
            if len(served_by) < PROCESSES:
                outcomes += threads.map(ask, range(12))
    assert set(outcomes) == {"ok"}
    assert len(served_by) == PROCESSES
    assert connections_heard.shared == []
    assert (upstream.refreshes, upstream.reuses) == (1, 0)
    assert Credential.objects.get().generation == 2


def test_celery(upstream: Upstream, connections_heard: Connections, tmp_path: Path) -> None:
    """Tasks in the processes that a Celery worker forks get the answers to their own calls, and refresh once."""
    for folder in ("queue", "results", "control"):
        (tmp_path / folder).mkdir()
    environment = {CELERY_FOLDER: str(tmp_path)}
    options = ["--pool", "prefork", "--concurrency", "3", "--without-gossip", "--without-mingle", "-l", "warning"]
    command = [sys.executable, "-m", "celery", "-A", "tests.support.celery_site:app", "worker", *options]
    with running(command, tmp_path, environment=environment):
        outcomes = tasks(CALLS // 3, environment)
        upstream.expire()
        outcomes += tasks(CALLS // 3 * 2, environment)
    assert {outcome for outcome, _ in outcomes} == {"ok"}
    assert len({pid for _, pid in outcomes}) == PROCESSES
    assert connections_heard.shared == []
    assert (upstream.refreshes, upstream.reuses) == (1, 0)


def tasks(number: int, environment: dict[str, str]) -> list[list[Any]]:
    """Send tasks to the worker; return the outcome of each and the process that did it."""
    sender = subprocess.run(
        [sys.executable, "-m", "tests.support.celery_site", str(number)],
        env={**workers.environment(), **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    sent: list[list[Any]] = json.loads(sender.stdout)
    return sent


JOBS = ["pool_of_processes", "executor_of_processes", "processes_of_threads", "children_without_hooks"]


@pytest.mark.parametrize("job", JOBS)
def test_forks_of_python(upstream: Upstream, connections_heard: Connections, job: str) -> None:
    """Processes that a Python program forks get the answers to their own calls, as do threads of theirs."""
    worker = workers_that_fork.start(job, calls=CALLS)
    await_ready(worker)
    go_on(worker)
    outcomes = workers.finish(worker)
    assert {outcome for outcome, _ in outcomes} == {"ok"}
    assert len(outcomes) >= CALLS
    assert len({pid for _, pid in outcomes}) >= PROCESSES
    assert connections_heard.shared == []
