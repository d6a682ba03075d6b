"""A new project in an empty virtualenv that has the wheel of ``dist``, and an upstream for it to call."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from release.files import ROOT

SETTINGS = """
INSTALLED_APPS.append("jwt_upstream")
JWT_UPSTREAM = {{"crm": {{"BACKEND": "jwt_upstream.backends.SimpleJWTBackend", "BASE_URL": "{url}"}}}}
JWT_UPSTREAM_ENCRYPTION_KEYS = ["c2l4dGVlbiBieXRlcyBhbmQgc2l4dGVlbiBieXRlcyE="]
ADMINS = ["ops@example.com"] if __import__("django").VERSION >= (6, 0) else [("Ops", "ops@example.com")]
"""
_STRICT = ("-W", "error", "manage.py")
#: The command that runs a text of Python, which follows.
SHELL = ("shell", "--verbosity", "0", "--command")


def wheel() -> Path:
    """Return the wheel that ``make package`` has built."""
    (built,) = (ROOT / "dist").glob("*.whl")
    return built


class Failed(Exception):
    """A step ended with another exit code than 0; the text is what it printed."""


class Project:
    """The project, in a folder of its own."""

    def __init__(self, folder: Path, url: str) -> None:
        """Install the wheel, and start the project."""
        self.folder = folder
        self._python = str(folder / "venv" / "bin" / "python")
        venv.create(folder / "venv", with_pip=True)
        self.install(str(wheel()))
        self.run("-m", "django", "startproject", "site_of_mine", ".")
        with (self.folder / "site_of_mine" / "settings.py").open("a") as settings:
            settings.write(SETTINGS.format(url=url))

    def install(self, *arguments: str) -> None:
        """Run ``pip install``."""
        self.run("-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments)

    def run(self, *arguments: str, **variables: str) -> str:
        """Return what Python prints with these arguments and environment variables; raises Failed."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO", "PYTHON"))}
        command, pipe = [self._python, *arguments], subprocess.PIPE
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**environ, **variables},
            text=True,
            stdout=pipe,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if done.returncode:
            raise Failed(f"{arguments} failed:\n{done.stdout}")
        return done.stdout

    def prepare(self) -> None:
        """Run the checks and the migrations, with warnings as errors."""
        self.run(*_STRICT, "check", "--fail-level", "WARNING")
        self.run(*_STRICT, "makemigrations", "--check", "--dry-run")
        self.run(*_STRICT, "migrate", "--verbosity", "0")

    def shell(self, code: str) -> str:
        """Return what a text of Python prints in the project's shell, with warnings as errors."""
        return self.run(*_STRICT, *SHELL, code)


class Upstream(BaseHTTPRequestHandler):
    """A server that has orders for who refreshed once."""

    def do_POST(self) -> None:
        """Give the pair of a login or of a refresh."""
        self.rfile.read(int(self.headers["Content-Length"]))
        name = "second" if self.path == "/api/token/refresh/" else "first"
        self.answer(200, {"access": name, "refresh": f"{name}-refresh"})

    def do_GET(self) -> None:
        """Give the orders."""
        good = self.headers["Authorization"] == "Bearer second"
        self.answer(200 if good else 401, {"orders": [1, 2]} if good else {"code": "token_not_valid"})

    def answer(self, status: int, value: Mapping[str, Any]) -> None:
        """Send an answer in JSON."""
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@contextmanager
def upstream() -> Iterator[str]:
    """Give the address of a running upstream."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/api/"
    finally:
        server.shutdown()
        server.server_close()
