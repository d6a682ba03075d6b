"""What the documentation shows was run: its code works, and its commands print what it says."""

from __future__ import annotations

import io
import json
import logging.config
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import responses
import time_machine
from django.core.management import CommandError, call_command

from jwt_upstream.alerts import Alert, Trouble, webhook
from jwt_upstream.checks import check_settings
from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import RefreshUnavailable
from jwt_upstream.login import device
from tests.support.metadata import KEYCLOAK
from tests.support.pages import DOCS, blocks
from tests.support.upstream import Answer, Upstream

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
    for block in [*blocks("howto/own_backend.rst", "python"), *blocks("howto/own_backend.rst", "text")]:
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
    assert "12 passed" in done.stdout
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


@pytest.mark.slow
def test_credentials_in_a_file_of_their_own(tmp_path: Path) -> None:
    """On SQLite, with the router of the page, a caller which has written to its own file keeps its refresh."""
    router, settings = blocks("explanation/guarantees.rst", "python")
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


def test_kinds_of_logins() -> None:
    """The reference says of every backend's page of which kind its login is, and names tests that there are."""
    text = (DOCS / "reference" / "backends.rst").read_text()
    table = text.partition("Which kinds of login ran live")[2].partition("A page for each")[0]
    pages = {page.stem for page in (DOCS / "reference" / "backends").glob("*.rst")}
    assert set(re.findall(r":doc:`backends/(\w+)`", table)) == pages
    live = re.findall(r"^     - ``(test_\w+\.py)``$", table, re.MULTILINE)
    assert live
    assert all((DOCS.parent / "tests" / "live" / name).exists() for name in live)


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


def without_fingerprints(text: str) -> str:
    """Return a text without what the encryption key decides."""
    return re.sub(r"(fingerprint\s+)[0-9a-f]{12}", r"\1…", text).strip()


@responses.activate
def test_probing(terminal: None) -> None:
    """Each command of the page prints what the page says, but for fingerprints, which depend on the key."""
    commands = 0
    responses.get(f"{KEYCLOAK['issuer']}/.well-known/openid-configuration", json=KEYCLOAK)
    for step in re.split(r"^\$ ", "".join(blocks("howto/probing.rst", "console")), flags=re.MULTILINE)[1:]:
        command, _, shown = step.partition("\n")
        if command.startswith("cat "):
            Path(command.removeprefix("cat ")).write_text(shown)
        else:
            commands += 1
            assert without_fingerprints(run(command)) == without_fingerprints(shown)
    assert commands == 4


def test_device_login(
    upstream: Upstream, settings: Any, transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page's command prints what the page says, and its code connects an account, or tells why not."""
    codes = {"device_code": "d1", "user_code": "GQVQ-JKEC", "verification_url": "https://www.google.com/device"}
    upstream.answers["/device"] = Answer(200, {**codes, "expires_in": 1800})
    upstream.answers["/token"] = Answer(200, {"access_token": "a1", "refresh_token": "r1", "expires_in": 3599})
    options = {"client_id": "us", "login_path": f"{upstream.url}token", "device_path": "./device"}
    google = {"BACKEND": "jwt_upstream.backends.GoogleBackend", "BASE_URL": upstream.url, "OPTIONS": options}
    settings.JWT_UPSTREAM = {"drive": google}
    monkeypatch.setattr(device, "time", SimpleNamespace(sleep=lambda _: None))
    (step,) = blocks("howto/device_login.rst", "console")
    command, _, shown = step.removeprefix("$ ").partition("\n")
    times = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
    printed, expected = (re.sub(times, "…", without_fingerprints(text)) for text in (run(command), shown))
    assert printed == expected
    told: list[str] = []
    written: dict[str, Any] = {}
    exec([*blocks("howto/device_login.rst", "python")][1], written)
    written["connect"]("acme", told.append)
    upstream.answers["/token"] = Answer(403, {"error": "access_denied"})
    written["connect"]("acme", told.append)
    assert told[1::2] == [
        "Connected.",
        "Not connected: the login was declined in the browser (HTTP 403: access_denied)",
    ]


def test_json_logs(capsys: pytest.CaptureFixture[str], client: UpstreamClient, upstream: Upstream) -> None:
    """With the page's LOGGING a refresh that failed is one line of JSON, with the fields that the page shows."""
    written: dict[str, Any] = {}
    exec(next(block for block in blocks("reference/monitoring.rst", "python") if "LOGGING" in block), written)
    shown = json.loads(next(blocks("reference/monitoring.rst", "json")))
    upstream.answers["/refresh"] = Answer(503)
    logger = logging.getLogger("jwt_upstream")
    try:
        logging.config.dictConfig(written["LOGGING"])
        with pytest.raises(RefreshUnavailable):
            client.refresh()
    finally:
        logger.handlers.clear()
        logger.setLevel(logging.NOTSET)
    (line,) = capsys.readouterr().err.splitlines()
    said = json.loads(line)
    assert said.keys() == shown.keys()
    own = {name: said[name] for name in shown if name not in ("asctime", "seconds")}
    assert own == {name: shown[name] for name in own} | {"upstream": "up", "message": "up/default failed: HTTP 503"}


def test_notifiers(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch, upstream: Any) -> None:
    """The notifiers of the page tell, the receiver of the page takes what the webhook posts, and its settings pass."""
    configured, recipients, receiver = blocks("howto/notifiers.rst", "python")
    slack, sentry, _ = blocks("howto/slack_and_sentry.rst", "python")
    events: list[Any] = []
    monkeypatch.setitem(sys.modules, "sentry_sdk", _sentry(events))
    found: dict[str, Any] = {}
    for code in (configured, recipients, receiver, slack, sentry):
        exec(code, found)
    settings.SLACK_URL = settings.JWT_UPSTREAM_WEBHOOK_URL = f"{upstream.url}hook"
    settings.JWT_UPSTREAM_WEBHOOK_SECRET = "s3cret"
    settings.JWT_UPSTREAM_NOTIFIERS = [*found["JWT_UPSTREAM_NOTIFIERS"], found["slack"], found["sentry"]]
    settings.JWT_UPSTREAM, settings.JWT_UPSTREAM_SITE_URL = found["JWT_UPSTREAM"], found["JWT_UPSTREAM_SITE_URL"]
    upstream.answers["/hook"] = Answer(200, {})
    assert check_settings() == []
    trouble = Trouble("crm", "acme", "locked", datetime.now(UTC), reason="<!channel> is disabled.", link="https://x/1")
    alert = Alert("crm", "opened", (trouble,), {"locked": 1})
    for name in ("slack", "sentry"):
        found[name](alert)
    webhook(alert)
    by_slack, by_webhook = upstream.seen
    assert by_slack.json() == {"text": "*crm/acme is locked*\n&lt;!channel&gt; is disabled.\nhttps://x/1"}
    assert found["is_genuine"]("s3cret", by_webhook.headers, by_webhook.body)
    assert not found["is_genuine"]("s3cret", by_webhook.headers, by_webhook.body + b" ")
    assert not found["is_genuine"]("other", by_webhook.headers, by_webhook.body)
    assert events == ["crm/acme is locked"]


def _sentry(events: list[Any]) -> Any:
    """Return what stands for Sentry's client where it isn't installed."""

    class Scope:
        fingerprint: list[str]

        def __enter__(self) -> Scope:
            return self

        def __exit__(self, *_: object) -> None:
            assert self.fingerprint == ["jwt_upstream", "crm", "locked"]

        def set_tag(self, name: str, value: str) -> None:
            assert (name, value) == ("upstream", "crm")

        def set_context(self, name: str, value: dict[str, str]) -> None:
            assert (name, value) == ("incidents", {"crm/acme": "<!channel> is disabled."})

    def capture_message(text: str, level: str) -> None:
        assert level == "error"
        events.append(text)

    return SimpleNamespace(new_scope=Scope, capture_message=capture_message)
