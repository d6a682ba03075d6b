"""PocketBase, the program itself; ordered about by its own web API as a superuser."""

from __future__ import annotations

import socket
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import Any

import requests
from serving import announce

PROGRAM = str(Path(sysconfig.get_path("scripts"), "pocketbase"))
OPERATOR = ("root@example.com", "Correct-horse-7")


def free_port() -> int:
    """Return a port that is free now; PocketBase tells nobody which one it took."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


class Operator:
    """A superuser at PocketBase's web API."""

    def __init__(self, url: str) -> None:
        self._url, self._session = f"{url}api/collections/", requests.Session()
        given = dict(zip(("identity", "password"), OPERATOR, strict=True))
        answer = self._ask("POST", "_superusers/auth-with-password", json=given)
        self._session.headers["Authorization"] = answer["token"]

    def _ask(self, method: str, path: str, **kwargs: Any) -> Any:
        answer = self._session.request(method, f"{self._url}{path}", timeout=30, **kwargs)
        if not answer.ok:
            raise RuntimeError(answer.text)
        return answer.json() if answer.content else None

    def _user(self, username: str) -> str:
        found = self._ask("GET", "users/records", params={"filter": f"email='{username}'"})
        return f"users/records/{found['items'][0]['id']}"

    def rules(self) -> None:
        """Let none in who isn't verified, which is how PocketBase's users are switched off."""
        self._ask("PATCH", "users", json={"authRule": "verified = true", "listRule": "id = @request.auth.id"})

    def create(self, username: str, password: str) -> None:
        """Add a user."""
        given = {"email": username, "password": password, "passwordConfirm": password, "verified": True}
        self._ask("POST", "users/records", json={**given, "emailVisibility": True})

    def verify(self, username: str, verified: bool) -> None:
        """Let a user in, or not."""
        self._ask("PATCH", self._user(username), json={"verified": verified})

    def delete(self, username: str) -> None:
        """Delete a user."""
        self._ask("DELETE", self._user(username))

    def change_password(self, username: str, password: str) -> None:
        """Set another password, which ends all tokens."""
        self._ask("PATCH", self._user(username), json={"password": password, "passwordConfirm": password})

    def lifetimes(self, access: float, refresh: float) -> None:
        """Set how long the tokens live that are issued from now on."""
        self._ask("PATCH", "users", json={"authToken": {"duration": int(access)}})


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until PocketBase answers."""
    while process.poll() is None:
        try:
            if requests.get(f"{url}api/health", timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.05)
    sys.exit("pocketbase ended")


if __name__ == "__main__":
    subprocess.run([PROGRAM, "superuser", "upsert", *OPERATOR, "--dir=data"], check=True)
    port = free_port()
    process = subprocess.Popen([PROGRAM, "serve", f"--http=127.0.0.1:{port}", "--dir=data"])
    url = f"http://127.0.0.1:{port}/"
    wait_for(url, process)
    operator = Operator(url)
    operator.rules()
    announce(
        port,
        {
            "create": operator.create,
            "lock": lambda username: operator.verify(username, False),
            "unlock": lambda username: operator.verify(username, True),
            "delete": operator.delete,
            "change_password": operator.change_password,
            "lifetimes": operator.lifetimes,
        },
        on_end=process.kill,
    )
    sys.exit(process.wait())
