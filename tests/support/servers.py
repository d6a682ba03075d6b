"""Servers that load the site of ``crash_workers`` in one process, which calls the upstream, and fork others of it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support import workers
from tests.support.pages import blocks
from tests.support.upstream import Seen, Upstream
from tests.support.workers import FOREVER

#: Names the folder of the broker of ``celery_site``.
CELERY_FOLDER = "JWT_UPSTREAM_TEST_CELERY"


class Connections:
    """Which processes the upstream hears on each of its connections; it has a thread for each."""

    def __init__(self, upstream: Upstream) -> None:
        self._processes: dict[threading.Thread, set[str]] = defaultdict(set)
        upstream.answers["/orders/"] = self._note

    def _note(self, seen: Seen) -> None:
        self._processes[threading.current_thread()].add(seen.headers["X-Process"])

    @property
    def shared(self) -> list[set[str]]:
        """The processes of the connections that more than one has used."""
        return [processes for processes in self._processes.values() if len(processes) > 1]

    @property
    def processes(self) -> set[str]:
        """All processes that have called."""
        return set().union(*self._processes.values())


@contextmanager
def gunicorn(*options: str, home: Path) -> Iterator[str]:
    """Serve the site by gunicorn, which loads it before it forks; gives its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        bind = f"fd://{listening.fileno()}"
        command = ["-m", "gunicorn", "--preload", *options, "--bind", bind, "tests.support.crash_workers:wsgi()"]
        with running([sys.executable, *command], home, listening.fileno()):
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/"


@contextmanager
def gunicorn_with_gevent(*options: str, home: Path) -> Iterator[str]:
    """Serve the site by gunicorn and greenlets; gevent replaces the threads before the site is loaded, as it must."""
    settings = home / "gunicorn.conf.py"
    settings.write_text(list(blocks("howto/servers.rst", "python"))[1])
    with gunicorn("--config", str(settings), *options, home=home) as url:
        yield url


@contextmanager
def uwsgi(*options: str, home: Path) -> Iterator[str]:
    """Serve the site by uWSGI, which loads it before it forks without Python's hooks; gives its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    bind = ["--http-socket", f"127.0.0.1:{port}", "--module", "tests.support.crash_workers:wsgi()"]
    ends = ["--die-on-term", "--worker-reload-mercy", "5", "--disable-logging", "--need-app"]
    with running([str(Path(sys.executable).with_name("uwsgi")), *bind, *ends, *options], home):
        wait_for(port)
        yield f"http://127.0.0.1:{port}/"


@contextmanager
def running(
    command: Sequence[str], home: Path, *pass_fds: int, environment: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Run a server in the environment of a worker; when it has ended, print what it and its workers wrote."""
    log = home / "log"
    with log.open("w") as file:
        server = subprocess.Popen(
            command,
            env={
                **workers.environment(),
                "HOME": str(home),
                "PYTHONPATH": str(Path.cwd()),
                **(environment or {}),
            },
            pass_fds=pass_fds,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield
    finally:
        server.terminate()
        server.wait(FOREVER)
        with suppress(ProcessLookupError):  # workers that have no master to end them
            os.killpg(server.pid, signal.SIGKILL)
        print(log.read_text())


def wait_for(port: int) -> None:
    """Wait until somebody listens at a port of this host."""
    end = time.monotonic() + FOREVER
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert time.monotonic() < end, "nobody listens"
            time.sleep(0.05)
