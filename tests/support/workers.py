"""Processes that call an upstream at the same moment, as a site's workers do: ``python -m tests.support.workers``."""

from __future__ import annotations

import itertools
import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import django
import time_machine
from django.conf import settings

ENVIRONMENT = "JWT_UPSTREAM_TEST_WORKER"
#: Longer than anything takes; only a bug waits for so long.
FOREVER = 30.0


def environment(database_url: str = "", **told: Any) -> dict[str, str]:
    """Return the environment of a worker on the suite's database, reached by another URL if one is given."""
    from django.db import connections

    return {
        **os.environ,
        **({"DATABASE_URL": database_url} if database_url else {}),
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "JWT_UPSTREAM_TEST_DATABASE": str(connections["default"].settings_dict["NAME"]),
        ENVIRONMENT: json.dumps({"upstreams": settings.JWT_UPSTREAM, **told}),
    }


def start(
    job: str, module: str = "tests.support.workers", warnings: str = "error", **arguments: Any
) -> subprocess.Popen[str]:
    """Start a worker on the suite's database which runs a job of a module once it is told to, and prints its result.

    ``database_url`` is another way to the same database.
    """
    command = [sys.executable, "-W", warnings, "-m", module]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, env=environment(job=job, **arguments), stdin=pipe, stdout=pipe, stderr=pipe, text=True
    )


def line(worker: subprocess.Popen[str]) -> str:
    """Wait for the next line that a worker prints."""
    assert worker.stdout is not None
    return worker.stdout.readline().rstrip("\n")


def await_ready(*started: subprocess.Popen[str]) -> None:
    """Wait until workers have loaded all they need."""
    for worker in started:
        assert line(worker) == "ready", worker.communicate()[1]


def go_on(*ready: subprocess.Popen[str]) -> None:
    """Let workers begin, or go on with what they wait for."""
    for worker in ready:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()


def together(*workers: subprocess.Popen[str]) -> list[Any]:
    """Let workers begin at the same moment, once all are ready; return what each printed."""
    await_ready(*workers)
    go_on(*workers)
    return [finish(worker) for worker in workers]


def until(condition: Callable[[], Any]) -> None:
    """Wait for something that can only be looked at."""
    end = time.monotonic() + FOREVER
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def finish(worker: subprocess.Popen[str], timeout: float = 120.0) -> Any:
    """Wait for a worker and return what it printed; one that takes too long is ended, lest other tests find it."""
    try:
        out, err = worker.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        with worker:
            worker.kill()
        raise
    assert worker.returncode == 0, err
    return json.loads(out.splitlines()[-1])


def calls(threads: int, account: str = "default", seconds: float = 0.0, path: str = "orders/") -> list[list[Any]]:
    """Call from several threads, again and again for ``seconds``; return [outcome, when] of each call."""
    from jwt_upstream.client import UpstreamClient

    client, results, end = UpstreamClient("up", account), [], time.time() + seconds

    def call() -> None:
        while True:
            results.append([_outcome(lambda: client.get(path).status_code), time.time()])
            if time.time() >= end:
                return

    _in_threads(threads, call)
    return results


def together_by(caller: str, number: int) -> list[Any]:
    """Call so many times at the same moment, in the way that ``CALLERS`` has under a name; return the outcomes."""
    from tests.support.callers import CALLERS

    answers = CALLERS[caller].together(number, "orders/")
    return [repr(answer) if isinstance(answer, Exception) else answer.status_code for answer in answers]


def upload(path: str, pieces: int) -> dict[str, Any]:
    """Upload a file, which takes two sendings, and as many bytes by a generator; return how the memory grew, in MB."""
    from jwt_upstream.client import UpstreamClient

    client = UpstreamClient("up")
    client.post("small/", data=b"x" * 100_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with open(path, "rb") as file:
        statuses = [client.post("file/", data=file).status_code]
    statuses.append(client.post("generator/", data=(b"x" * 1_000_000 for _ in range(pieces))).status_code)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"statuses": statuses, "grown": grown / 1024}


def stream(
    threads: int, seconds: float = 0.0, count: int = 0, pause: float = 0.0, aliases: Sequence[str] = ("up",)
) -> list[list[Any]]:
    """Call from several threads, at one upstream after the other, for ``seconds`` or ``count`` times in each thread.

    Returns [alias, outcome, begun at, ended at] of each call; a new client makes it, as in a view.
    """
    from jwt_upstream.client import UpstreamClient

    results: list[list[Any]] = []
    end = time.time() + seconds

    def status(alias: str) -> int:
        return UpstreamClient(alias).get("orders/").status_code

    def call() -> None:
        for number in itertools.count():
            alias, began = aliases[number % len(aliases)], time.time()
            if (number >= count) if count else (began >= end):
                return
            outcome = _outcome(partial(status, alias))
            results.append([alias, outcome, began, time.time()])
            time.sleep(pause)

    _in_threads(threads, call)
    return results


def answering() -> None:
    """Call whenever a line comes in, by the same client, and print the outcome."""
    from jwt_upstream.client import UpstreamClient

    client = UpstreamClient("up")
    while sys.stdin.readline():
        print(_outcome(lambda: client.get("orders/").status_code), flush=True)


def warm_stream(**told: Any) -> list[list[Any]]:
    """Call once, print "warm", and when a line comes in go on as ``stream`` does."""
    stream(threads=1, count=1)
    print("warm", flush=True)
    sys.stdin.readline()
    return stream(**told)


def _outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _in_threads(threads: int, work: Callable[[], None]) -> None:
    from django.db import connections

    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    started = [threading.Thread(target=run) for _ in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()


def configure() -> dict[str, Any]:
    """Set Django up as the environment says; return the rest of what it says."""
    django.setup()
    told: dict[str, Any] = json.loads(os.environ[ENVIRONMENT])
    settings.JWT_UPSTREAM = told.pop("upstreams")
    for name, value in told.pop("settings", {}).items():
        setattr(settings, name, value)
    if skew := told.pop("skew", 0.0):  # the clock of another host
        time_machine.travel(datetime.now(UTC) + timedelta(seconds=skew)).start()
    return told


def main(jobs: Mapping[str, Any]) -> None:
    """Run the one of these jobs that the environment names."""
    told = configure()
    job = jobs[told.pop("job")]
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(job(**told)))


if __name__ == "__main__":
    main(globals())
