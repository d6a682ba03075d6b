"""A database server of the run's own, which can be restarted and killed: nobody else uses it."""

from __future__ import annotations

import abc
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_START_SECONDS = 60
#: How long a server that crashed is left alone at most.
_DOWN_SECONDS = 20.0


class OwnServer(abc.ABC):
    """A server with an empty data directory, on a free port of loopback, until ``remove``."""

    user = ""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="jwt_upstream_chaos_server_"))
        if os.getuid() == 0:  # neither server runs as root
            shutil.chown(self.folder, self.user, self.user)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        self.faults: dict[str, Callable[[float], None]] = {"restart": self._restart, "crash": self._crash}
        self.create()
        self.start()

    @property
    @abc.abstractmethod
    def url(self) -> str:
        """The URL of an administrator."""

    @abc.abstractmethod
    def create(self) -> None:
        """Fill the data directory."""

    @abc.abstractmethod
    def start(self) -> None:
        """Start, and return when connections are taken."""

    @abc.abstractmethod
    def stop(self, *, at_once: bool = False) -> None:
        """End the server, or have it crash."""

    def remove(self) -> None:
        """End the server and leave nothing behind."""
        self.stop(at_once=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _restart(self, seconds: float) -> None:
        self.stop()
        self.start()

    def _crash(self, seconds: float) -> None:
        self.stop(at_once=True)
        time.sleep(min(seconds, _DOWN_SECONDS))
        self.start()

    def _run(self, *command: str | Path) -> None:
        subprocess.run([*self._as_user(), *map(str, command)], check=True, stdout=subprocess.DEVNULL, cwd=self.folder)

    def _as_user(self) -> list[str]:
        return ["runuser", "-u", self.user, "--"] if os.getuid() == 0 else []


class OwnPostgreSQL(OwnServer):
    """PostgreSQL, as Debian installs it or from the path."""

    user = "postgres"

    @property
    def url(self) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/postgres"

    def create(self) -> None:
        """Fill the data directory."""
        self._run(self._program("initdb"), "-D", self.folder / "data", "-U", "postgres", "-A", "trust", "--no-sync")

    def start(self) -> None:
        """Start, and return when connections are taken."""
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1"
        self._control("-w", "-l", self.folder / "log", "-o", options, "start")

    def stop(self, *, at_once: bool = False) -> None:
        """End the server, or have it crash: it recovers by its log at the next start."""
        self._control("-m", "immediate" if at_once else "fast", "-w", "stop")

    def _control(self, *arguments: str | Path) -> None:
        self._run(self._program("pg_ctl"), "-D", self.folder / "data", *arguments)

    def _program(self, name: str) -> str:
        installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
        return str(installed[-1]) if installed else name


class OwnMariaDB(OwnServer):
    """MariaDB; being nobody else's it can be made read-only as a whole, as a replica is."""

    user = "mysql"
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"mysql://root@127.0.0.1:{self.port}/mysql"

    def create(self) -> None:
        """Fill the data directory."""
        data = f"--datadir={self.folder / 'data'}"
        self._run("mariadb-install-db", "--no-defaults", data, "--auth-root-authentication-method=normal")

    def start(self) -> None:
        """Start, and return when connections are taken."""
        told: dict[str, Any] = {
            "datadir": self.folder / "data",
            "socket": self.folder / "socket",
            "pid-file": self.folder / "pid",
            "port": self.port,
            "bind-address": "127.0.0.1",
        }
        options = ["--no-defaults", *(f"--{name}={value}" for name, value in told.items())]
        log = (self.folder / "log").open("ab")
        with log:
            program = shutil.which("mariadbd") or "/usr/sbin/mariadbd"
            self._process = subprocess.Popen([*self._as_user(), program, *options], stdout=log, stderr=log)
        give_up_at = time.monotonic() + _START_SECONDS
        while not self._answers():
            assert time.monotonic() < give_up_at, (self.folder / "log").read_text()[-2000:]
            time.sleep(0.1)

    def stop(self, *, at_once: bool = False) -> None:
        """End the server, or have it crash: it recovers by its log at the next start."""
        assert self._process is not None
        pid = int((self.folder / "pid").read_text())
        os.kill(pid, signal.SIGKILL if at_once else signal.SIGTERM)
        self._process.wait(_START_SECONDS)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                return bool(connection.recv(1))
        except OSError:
            return False
