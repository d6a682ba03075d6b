"""What the documentation shows was run: its code works, and its commands print what it says."""

from __future__ import annotations

import io
import os
import re
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command

DOCS = Path(__file__).parent.parent / "docs"
RULE = {
    "verdict": "LOCKED",
    "where": ["api", "refresh"],
    "status": 403,
    "json": "error.code",
    "pattern": "^SUSPENDED$",
}
CRM = {
    "BACKEND": "jwt_upstream.backends.LexikBackend",
    "BASE_URL": "https://crm.example.com/api/",
    "OPTIONS": {"rules": [RULE]},
}


def blocks(page: str, language: str) -> Iterator[str]:
    """Yield a page's code blocks in a language, dedented."""
    pattern = rf"\.\. code-block:: {language}\n\n((?:    .*\n|\n)+)"
    for block in re.findall(pattern, (DOCS / page).read_text() + "\n"):
        yield textwrap.dedent(block).strip() + "\n"


OWN_BACKEND = """
import sys
import pytest
from django.core.management import call_command
failed = pytest.main(["-q", "-p", "no:cacheprovider", "-p", "pytest_django.plugin", "tests"])
call_command("check")
sys.exit(failed)
"""


def test_own_backend(tmp_path: Path) -> None:
    """The backend of the page passes the tests of the page, and its settings pass Django's checks."""
    for block in [*blocks("own_backend.rst", "python"), *blocks("own_backend.rst", "text")]:
        first, _, code = block.partition("\n")
        file = tmp_path / first.removeprefix("# ")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text((file.read_text() if file.exists() else "") + code)
    settings = tmp_path / "settings.py"
    settings.write_text(f"from tests.settings import *\n{settings.read_text()}")
    path = os.pathsep.join([str(tmp_path), str(DOCS.parent)])
    environment = {
        **os.environ,
        "PYTHONPATH": path,
        "DJANGO_SETTINGS_MODULE": "settings",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    arguments = [sys.executable, "-c", OWN_BACKEND]
    done = subprocess.run(arguments, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "11 passed" in done.stdout
    assert "no issues" in done.stdout


OWN_FILE = """
import django
django.setup()
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone
from jwt_upstream.client import UpstreamClient
from jwt_upstream.models import Credential
from tests.support.upstream import Upstream
call_command("migrate", verbosity=0)
call_command("migrate", database="credentials", verbosity=0)
with Upstream() as upstream:
    settings.JWT_UPSTREAM = {"up": {"BASE_URL": upstream.url, "OPTIONS": {"refresh_fields": {"refresh": "{refresh}"}}}}
    client = UpstreamClient("up")
    client.login(username=upstream.user, password=upstream.password)
    upstream.expire()
    with transaction.atomic():
        Session.objects.create(session_key="x", expire_date=timezone.now())
        assert client.get("orders/").json()["token"] == "access-2"
        transaction.set_rollback(True)
print(Session.objects.count(), Credential.objects.get().pair.refresh, upstream.refreshes, upstream.reuses)
"""


def test_credentials_in_a_file_of_their_own(tmp_path: Path) -> None:
    """On SQLite, with the router of the page, a caller which has written to its own file keeps its refresh."""
    router, settings = blocks("guarantees.rst", "python")
    (tmp_path / "routers.py").write_text(router)
    head = f"from tests.settings import *\nBASE_DIR = Path({str(tmp_path)!r})\n"
    (tmp_path / "settings.py").write_text(head + settings)
    environment = {
        **os.environ,
        "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3",
        "DJANGO_SETTINGS_MODULE": "settings",
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(DOCS.parent)]),
    }
    arguments = [sys.executable, "-W", "error", "-c", OWN_FILE]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout == "0 refresh-2 1 0\n", done.stderr
    with sqlite3.connect(tmp_path / "db.sqlite3") as own:
        assert own.execute("SELECT count(*) FROM sqlite_master WHERE name LIKE 'jwt_upstream%'").fetchone() == (0,)
    own.close()


@pytest.fixture
def terminal(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A terminal of 80 columns in an empty folder, on the day on which the page was written."""
    settings.JWT_UPSTREAM = {"crm": CRM}
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    with time_machine.travel(datetime(2026, 12, 1, 9, tzinfo=UTC), tick=False):
        yield


def run(command: str) -> str:
    """Return what a command of the page prints."""
    out, failed = io.StringIO(), ""
    name, *arguments = command.removeprefix("python manage.py ").split()
    try:
        call_command(name, *arguments, stdout=out)
    except CommandError as error:
        failed = f"CommandError: {error}\n"
    return out.getvalue() + failed


def test_probing(terminal: None) -> None:
    """Each command of the page prints exactly what the page says."""
    commands = 0
    for step in re.split(r"^\$ ", "".join(blocks("probing.rst", "console")), flags=re.MULTILINE)[1:]:
        command, _, shown = step.partition("\n")
        if command.startswith("cat "):
            Path(command.removeprefix("cat ")).write_text(shown)
        else:
            commands += 1
            assert run(command).strip() == shown.strip()
    assert commands == 3
