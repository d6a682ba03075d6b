"""A server that others wrote, in a process of its own, and the orders that its operator would give it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import requests

SERVERS = Path(__file__).parent / "servers"
ROOT = Path(__file__).parents[2]
#: What a slow machine may take to start a server.
START_SECONDS = 120
#: How a program says that what it is made of isn't installed (EX_UNAVAILABLE of sysexits.h).
UNAVAILABLE = 69
#: The programs that server files are written for; each is where ``make test-live`` or Debian puts it.
INTERPRETERS = {".py": str(ROOT / ".venv-live/bin/python"), ".mjs": "node", ".rb": "ruby"}


class NotInstalled(Exception):
    """What a server is made of is not on this machine."""


class Server:
    """Runs a file of ``servers`` in a directory of its own until ``stop``; see ``servers/serving.py``."""

    def __init__(self, program: str, arguments: tuple[str, ...], directory: Path) -> None:
        self._log, addresses = directory / "server.log", directory / "addresses.json"
        path = SERVERS / program
        interpreter = shutil.which(INTERPRETERS[path.suffix])
        if interpreter is None:
            raise NotInstalled(f"there is no {INTERPRETERS[path.suffix]}")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [interpreter, str(path), str(addresses), *arguments],
                cwd=directory,
                env=_environment(),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        try:
            self._wait_for(addresses)
        except BaseException:
            self.stop()
            raise
        told = json.loads(addresses.read_text())
        self.url, self._control = told["url"], told["control"]
        #: What must go into OPTIONS and is made when the server starts.
        self.options: dict[str, Any] = told.get("options", {})

    def _wait_for(self, addresses: Path) -> None:
        give_up_at = time.monotonic() + START_SECONDS
        while not addresses.exists():
            if self._process.poll() == UNAVAILABLE:
                raise NotInstalled(self._log.read_text().strip())
            if self._process.poll() is not None or time.monotonic() > give_up_at:
                raise RuntimeError(f"{self._process.args!r} did not start:\n{self._log.read_text()[-4000:]}")
            time.sleep(0.05)

    def order(self, name: str, *arguments: Any) -> Any:
        """Have the operator do something: create, lock, unlock, delete, change_password, revoke, lifetimes."""
        answer = requests.post(f"{self._control}{name}", json=arguments, timeout=60)
        if answer.status_code != 200:
            raise RuntimeError(f"{name}: {answer.text}")
        return answer.json()

    def stop(self) -> None:
        """End the process: it ends by itself when its standard input does."""
        assert self._process.stdin
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _environment() -> dict[str, str]:
    # Nothing of the tests' own Django or virtualenv, and no proxy between processes of one machine.
    unwanted = ("DJANGO_", "PYTHON", "VIRTUAL_ENV", "COV", "DATABASE_URL", "HTTP_PROXY", "HTTPS_PROXY")
    return {name: value for name, value in os.environ.items() if not name.upper().startswith(unwanted)}
