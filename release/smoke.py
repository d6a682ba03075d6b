"""Installs the wheel of ``dist`` into an empty virtualenv, and calls a server with it in a new project."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from release.project import Failed, Project, upstream

# The first access token is refused, so this is a login, a call, a refresh and the call again.
CALL = """
from jwt_upstream.client import UpstreamClient
client = UpstreamClient("crm")
client.login(username="someone", password="secret")
print(client.get("orders/").json())
"""


def main() -> str | None:
    """Return what is wrong, if anything."""
    with tempfile.TemporaryDirectory() as folder, upstream() as url:
        try:
            project = Project(Path(folder), url)
            project.prepare()
            printed = project.shell(CALL)
        except Failed as error:
            return str(error)
    return None if "'orders': [1, 2]" in printed else f"The call printed {printed!r}."


if __name__ == "__main__":
    sys.exit(main())
