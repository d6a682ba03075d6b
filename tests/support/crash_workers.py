"""Processes that stop at a chosen point, are interrupted, fork, or serve HTTP themselves.

Run as ``python -m tests.support.crash_workers``, or by gunicorn as ``tests.support.crash_workers:wsgi()``.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

from tests.support import workers
from tests.support.pages import blocks

# -- what a test does with workers


def start(job: str, **arguments: Any) -> subprocess.Popen[str]:
    """Start a worker which runs a job of this module once it is told to go on."""
    return workers.start(job, "tests.support.crash_workers", **arguments)


# -- jobs


def call(stop_at: str = "") -> Any:
    """Call once from the main thread; return what came of it."""
    from jwt_upstream.client import UpstreamClient

    if stop_at:
        _stop_at(stop_at)
    return workers._outcome(lambda: UpstreamClient("up").get("orders/").json()["token"])


def _stop_at(point: str) -> None:
    """Have this process stop itself as by SIGSTOP, once, when a refresh comes to a point.

    "leased": the lease is committed; "connecting": to the upstream, in order to refresh; "settling": the answer is
    here, nothing written; "written": not yet committed.
    """
    from django.db.backends.signals import connection_created

    points = [point]

    def stop() -> None:
        if points:
            points.clear()
            # Sent to the process, it would take effect whenever another thread gets around to it.
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)

    def watch(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        columns = sql.partition(" WHERE ")[0] if sql.startswith("UPDATE") else ""
        is_settling = "access_token" in columns
        if points == ["leased"] and "lease_expires_at" in columns and not is_settling:
            context["connection"].on_commit(stop)
        if points == ["settling"] and is_settling:
            stop()
        result = execute(sql, params, many, context)
        if points == ["written"] and is_settling:
            stop()
        return result

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if points == ["connecting"] and event == "socket.connect" and arguments[1] == upstream:
            if is_calling.is_set():
                stop()
            is_calling.set()

    is_calling = threading.Event()  # the first connection is the call's own
    origin = urlsplit(settings.JWT_UPSTREAM["up"]["BASE_URL"])
    upstream = origin.hostname, origin.port
    sys.addaudithook(audit)
    connection_created.connect(lambda connection, **_: connection.execute_wrappers.append(watch), weak=False)


def interrupted_call(has_handler: bool) -> None:
    """Call, and print what a signal raised in the call; with a handler, SIGTERM raises SystemExit."""
    from jwt_upstream.client import UpstreamClient

    signal.signal(signal.SIGINT, signal.default_int_handler)  # which shells have background jobs ignore
    if has_handler:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
    try:
        UpstreamClient("up").get("orders/")
    except BaseException as error:
        print(type(error).__name__, flush=True)
        raise


def interrupted_start() -> list[Any]:
    """Call twice; SIGINT comes while the thread for the first call's refresh is about to be started."""

    def profile(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code is threading.Thread.start.__code__:
            sys.setprofile(None)
            signal.raise_signal(signal.SIGINT)

    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.setprofile(profile)
    outcomes = []
    for _ in range(2):
        try:
            outcomes.append(call())
        except KeyboardInterrupt:
            outcomes.append("interrupted")
    return outcomes


def fork_in_a_refresh() -> dict[str, Any]:
    """Fork while a thread is refreshing, and call in the child; return what each process got."""
    from jwt_upstream.client import UpstreamClient

    client, got = UpstreamClient("up"), []
    thread = threading.Thread(target=_with_closed_connections, args=(lambda: got.append(_numbered(client, 1)),))
    thread.start()
    sys.stdin.readline()
    child = _forked(lambda: _numbered(client, 2))
    print("forked", flush=True)
    by_child = child()
    thread.join()
    return {"parent": got[0], "child": by_child, "parent again": _numbered(client, 3)}


def fork_between_threads(threads: int, calls: int) -> list[str]:
    """Call from threads that run on through a fork, and from new ones in both processes; return every outcome.

    No thread uses the database at the fork: what SQLite's library and Django's signals have locked at that moment is
    never unlocked in the child. So the token has to be cached for long.
    """
    from django.db import connections

    from jwt_upstream.client import UpstreamClient

    client, outcomes = UpstreamClient("up"), []
    has_forked, is_calling = threading.Event(), threading.Barrier(threads + 1)

    def call() -> None:
        outcomes.append(_numbered(client, 0))

    def call_through_the_fork() -> None:
        call()  # one of the threads reads the new token, and caches it
        connections.close_all()
        is_calling.wait(workers.FOREVER)
        while not has_forked.is_set():
            call()
        call()

    def call_after_the_fork() -> list[str]:
        after: list[str] = []
        workers._in_threads(threads, lambda: after.extend(_numbered(client, number) for number in range(1, calls)))
        return after

    workers._in_threads(3 * threads, call)  # refreshes, and leaves more connections than are used at the fork
    before = [threading.Thread(target=call_through_the_fork) for _ in range(threads)]
    for thread in before:
        thread.start()
    is_calling.wait(workers.FOREVER)
    child = _forked(call_after_the_fork)
    has_forked.set()
    outcomes += call_after_the_fork()
    for thread in before:
        thread.join()
    return [*outcomes, *child()]


def _numbered(client: Any, number: int) -> str:
    """Call with a number, and see that the answer is the one to this call."""
    asked = f"/orders/?number={number}&pid={os.getpid()}"
    try:
        response = client.get(asked, headers={"X-Process": str(os.getpid())})
        return "ok" if response.json()["path"] == asked else f"asked {asked}, got {response.text}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _forked(work: Callable[[], Any]) -> Callable[[], Any]:
    """Do ``work`` in a forked child; return what waits for it and returns its result."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: "use of fork() may lead to deadlocks"
        child = os.fork()
    if not child:
        os.write(writing, json.dumps(work()).encode())
        os._exit(0)
    os.close(writing)

    def result() -> Any:
        with os.fdopen(reading) as pipe:
            text = pipe.read()
        assert os.waitpid(child, 0)[1] == 0
        return json.loads(text)

    return result


def _with_closed_connections(work: Callable[[], Any]) -> None:
    from django.db import connections

    try:
        work()
    finally:
        connections.close_all()


# -- a site


def wsgi() -> Callable[..., Iterable[bytes]]:
    """Return a WSGI application that has called the upstream, and keeps that connection, before it is forked."""
    workers.configure()
    from django.core.wsgi import get_wsgi_application

    from jwt_upstream.client import UpstreamClient

    settings.ROOT_URLCONF = __name__
    wsgi.client = UpstreamClient("up")  # type: ignore[attr-defined]
    assert _numbered(wsgi.client, 0) == "ok"  # type: ignore[attr-defined]
    exec(next(blocks("howto/servers.rst", "python")), {})  # which closes Django's connections
    return get_wsgi_application()


def pid(request: HttpRequest) -> HttpResponse:
    """Say which process serves, without a call to the upstream."""
    return HttpResponse(os.getpid())


def orders(request: HttpRequest) -> HttpResponse:
    """Call the upstream with the client that was made before the fork."""
    outcome = _numbered(wsgi.client, int(request.GET["number"]))  # type: ignore[attr-defined]
    return JsonResponse({"outcome": outcome, "pid": os.getpid()})


async def async_orders(request: HttpRequest) -> HttpResponse:
    """Call the upstream and hand its answer on."""
    from jwt_upstream.client import UpstreamClient

    response = await UpstreamClient("up").aget("orders/")
    return JsonResponse(response.json(), status=response.status_code)


urlpatterns = [path("pid/", pid), path("orders/", orders), path("async-orders/", async_orders)]


if __name__ == "__main__":
    workers.main(globals())
