"""Installs the wheel of ``dist`` into an empty virtualenv, and calls a server with it in a new project."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import venv
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from release.files import ROOT

SETTINGS = """
INSTALLED_APPS.append("jwt_upstream")
JWT_UPSTREAM = {{"crm": {{"BACKEND": "jwt_upstream.backends.SimpleJWTBackend", "BASE_URL": "{url}"}}}}
JWT_UPSTREAM_ENCRYPTION_KEYS = ["c2l4dGVlbiBieXRlcyBhbmQgc2l4dGVlbiBieXRlcyE="]
ADMINS = ["ops@example.com"] if __import__("django").VERSION >= (6, 0) else [("Ops", "ops@example.com")]
"""
# The first access token is refused, so this is a login, a call, a refresh and the call again.
CALL = """
from jwt_upstream.client import UpstreamClient
client = UpstreamClient("crm")
client.login(username="someone", password="secret")
print(client.get("orders/").json())
"""


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

    def answer(self, status: int, value: object) -> None:
        """Send an answer in JSON."""
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


def smoke(folder: Path, url: str) -> str:
    """Return what the call in a new project prints; the first step that fails ends this program."""
    venv.create(folder / "venv", with_pip=True)
    python = str(folder / "venv" / "bin" / "python")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO", "PYTHON"))}

    def run(*arguments: str) -> str:
        command = [python, *arguments]
        done = subprocess.run(
            command, cwd=folder, env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        if done.returncode:
            sys.exit(f"{arguments} failed:\n{done.stdout}")
        return done.stdout

    (wheel,) = (ROOT / "dist").glob("*.whl")
    run("-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel))
    run("-m", "django", "startproject", "site_of_mine", ".")
    with (folder / "site_of_mine" / "settings.py").open("a") as settings:
        settings.write(SETTINGS.format(url=url))
    strict = ("-W", "error", "manage.py")
    run(*strict, "check", "--fail-level", "WARNING")
    run(*strict, "makemigrations", "--check", "--dry-run")
    run(*strict, "migrate", "--verbosity", "0")
    return run(*strict, "shell", "--verbosity", "0", "--command", CALL)


def main() -> str | None:
    """Return what is wrong, if anything."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        printed = smoke(Path(folder), f"http://127.0.0.1:{server.server_port}/api/")
    server.shutdown()
    server.server_close()
    return None if "'orders': [1, 2]" in printed else f"The call printed {printed!r}."


if __name__ == "__main__":
    sys.exit(main())
