"""Processes that go on until they are told to stop."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from django.db import OperationalError

from jwt_upstream.management.commands import upstream_refresh
from jwt_upstream.management.workers import Stop, in_processes, repeat
from tests.support.commands import run

# Python 3.12 warns of a fork beside threads, which these processes don't use.
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]


def test_signal() -> None:
    """A signal stops the work after what is under way, and its handler is gone afterwards."""
    stop, before = Stop(), signal.getsignal(signal.SIGTERM)
    done: list[int] = []

    def work() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        done.append(1)

    with stop.on_signals():
        repeat(work, 60, stop, print)
        # The second one would end the process.
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert (done, signal.getsignal(signal.SIGTERM)) == ([1], before)


def test_hosts_do_not_go_in_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each pause is another one, within a tenth of what was asked for."""
    stop, pauses = Stop(), []

    def rest(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 50:
            stop.set()

    # Patched, since nobody waits fifty minutes.
    monkeypatch.setattr(stop, "rest", rest)
    repeat(lambda: None, 60, stop, print)
    assert 53 < min(pauses) < 57 < 63 < max(pauses) <= 66


def test_commands_in_another_thread() -> None:
    """Where a command is not run by the main thread, signals are left to those whose they are."""
    done: list[bool] = []

    def work() -> None:
        with Stop().on_signals():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert done == [True]


def test_rest_ends_when_told_to_stop() -> None:
    """A worker that rests ends soon after it is told to stop."""
    stop, began = Stop(), time.monotonic()
    threading.Timer(0.05, stop.set).start()
    stop.rest(30)
    assert time.monotonic() - began < 10


def test_exit_codes() -> None:
    """The highest exit code of the processes is that of all."""
    assert in_processes(2, lambda number: 0, Stop(), replace=False) == 0
    assert in_processes(3, lambda number: number - 1, Stop(), replace=False) == 2


def test_worker_that_dies_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that dies has another one in its place, and all end when the parent is told to stop."""
    monkeypatch.setattr("jwt_upstream.management.workers._BACKOFF", (0.01, 0.02))
    stop = Stop()

    def work(number: int) -> int:
        if not (tmp_path / "died").exists():
            (tmp_path / "died").touch()
            return 1
        (tmp_path / "replaced").touch()
        os.kill(os.getppid(), signal.SIGTERM)
        stop.rest(30)
        return 0

    with stop.on_signals():
        assert in_processes(1, work, stop, replace=True) == 0
    assert (tmp_path / "replaced").exists()


def test_failure_of_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a worker could not do is told by the exit code of all."""

    def away(**_: object) -> None:
        raise OperationalError("away")

    monkeypatch.setattr(upstream_refresh, "refresh_due", away)
    code, _, failed = run("upstream_refresh", "--workers", "2")
    assert (code, failed) == (2, "A worker failed.")


def test_workers_of_one_round() -> None:
    """Each worker makes its round."""
    assert run("upstream_refresh", "--workers", "2")[0] == 0
