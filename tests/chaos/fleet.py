"""The processes of a run: started, killed, stopped, told to end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.chaos.logs import Log

ENVIRONMENT = "JWT_UPSTREAM_CHAOS"
#: How long a process that was told to end may take: as long as its callers wait, and a refresh is settled.
ENDING_SECONDS = 75.0
#: How long a process takes to start on a busy machine.
_STARTING_SECONDS = 30.0
#: How long the nemesis waits for the moment at which it wants to strike.
_MOMENT_SECONDS = 3.0


def environment(**told: Any) -> dict[str, str]:
    """Return the environment of a process that is told these things."""
    return {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.chaos.settings", ENVIRONMENT: json.dumps(told)}


class Fleet:
    """The processes that are running, by name, and those that were told to end."""

    def __init__(self, log: Log, **told: Any) -> None:
        self.log, self.told = log, told
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self._ending: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()

    def start(self, name: str, role: str, module: str, *, is_calm: bool, **told: Any) -> None:
        """Start a process under a name."""
        told = {**self.told, "name": name, "role": role, "is_calm": is_calm, **told}
        command = [sys.executable, "-m", module]
        errors = open(Path(self.told["folder"]) / f"{name}.err", "ab")  # noqa: SIM115 -- the process has it
        with errors:
            self.running[name] = subprocess.Popen(
                command, env=environment(**told), stdout=subprocess.DEVNULL, stderr=errors
            )
        self.log.write("started", name=name, started=self.running[name].pid)

    def start_worker(self, name: str, *, is_calm: bool, threads: int = 3) -> None:
        """Start a worker; those that are left alone keep their connections, like half of the others."""
        keeps = is_calm or name[-1] in "02468"
        told = {"threads": threads, "conn_max_age": 60 if keeps else 0}
        self.start(name, "worker", "tests.chaos.worker", is_calm=is_calm, **told)

    def await_moment(self, name: str, moment: str) -> None:
        """Wait until a worker logs something, the next refresh that it asks for, say; not for ever."""
        self.await_ready(name)
        path = Path(self.told["folder"]) / f"{name}-{self.running[name].pid}.jsonl"
        end, seen = time.monotonic() + _MOMENT_SECONDS, path.stat().st_size
        while moment and time.monotonic() < end:
            with path.open("rb") as log:
                log.seek(seen)
                if f'"what": "{moment}"'.encode() in log.read():
                    return
            time.sleep(0.004)

    @property
    def targets(self) -> list[str]:
        """The names of the workers that are not left alone."""
        return sorted(name for name in self.running if name.startswith("worker"))

    def await_ready(self, *names: str) -> None:
        """Wait until processes have started."""
        end = time.monotonic() + _STARTING_SECONDS
        for name in names:
            ready = Path(self.told["folder"]) / f"{self.running[name].pid}.keys"
            while not ready.exists() and time.monotonic() < end:
                time.sleep(0.1)

    def send(self, name: str, number: signal.Signals) -> subprocess.Popen[bytes]:
        """Send a process a signal, once it has said that it is there and handles signals."""
        self.await_ready(name)
        process = self.running[name]
        self.log.write("signalled", signal=number.name, target=process.pid, name=name)
        process.send_signal(number)
        return process

    def kill(self, name: str) -> None:
        """Kill a worker and start another one in its place."""
        with self._lock:
            self.send(name, signal.SIGKILL).wait()
            self.start_worker(name, is_calm=False)

    def replace(self, name: str) -> None:
        """Tell a worker to end and start another one in its place at once."""
        with self._lock:
            self._ending.append(self.send(name, signal.SIGTERM))
            self.start_worker(name, is_calm=False)

    def stop(self, name: str, seconds: float) -> None:
        """Stop a worker for a while."""
        process = self.send(name, signal.SIGSTOP)
        time.sleep(seconds)
        process.send_signal(signal.SIGCONT)
        self.log.write("signalled", signal="SIGCONT", target=process.pid, name=name)

    def finish(self) -> None:
        """Tell all processes to end; log those that have to be killed, and the statuses."""
        for name in list(self.running):
            self._ending.append(self.send(name, signal.SIGTERM))
        end = time.monotonic() + ENDING_SECONDS
        for process in self._ending:
            self._await(process, end)
        self.running.clear()

    def _await(self, process: subprocess.Popen[bytes], end: float) -> None:
        try:
            status = process.wait(max(1.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            self.log.write("stuck", target=process.pid)
            process.wait()
        else:
            self.log.write("left", target=process.pid, status=status)

    def kill_all(self) -> None:
        """End what an error has left running."""
        for process in [*self.running.values(), *self._ending]:
            if process.poll() is None:
                process.kill()
                process.wait()


def is_alive(pid: int) -> bool:
    """Tell whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def all_know(folder: Path, key: str, pids: Iterable[int] = ()) -> bool:
    """Tell whether every process that runs has read an encryption key."""
    files = {int(file.stem): file.read_text() for file in folder.glob("*.keys")}
    alive = {pid for pid in files if is_alive(pid)} | {pid for pid in pids if is_alive(pid)}
    return all(key in files.get(pid, "") for pid in alive)
