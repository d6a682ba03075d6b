"""Commands of the how-tos print what the pages say, but for times, numbers of rows and fingerprints."""

from __future__ import annotations

import getpass
import re
import shlex
from datetime import timedelta
from typing import Any

import pytest
import responses
from cryptography.fernet import Fernet
from django.utils import timezone

from jwt_upstream.models import Credential, Event
from jwt_upstream.testing import FakeUpstream, logged_in
from tests.support.commands import Terminal, run
from tests.support.pages import DOCS
from tests.support.rows import put

pytestmark = pytest.mark.django_db
OPERATING, BACKGROUND, KEYS = "howto/operating.rst", "howto/background.rst", "howto/rotate_keys.rst"


def output(page: str, command: str) -> str:
    """Return what a page says that a command prints."""
    pattern = rf"^( +)\$ python manage\.py {re.escape(command)}\n((?:\1(?!\$ ).*\n|\n(?=\1))+)"
    (found,) = re.findall(pattern, (DOCS / page).read_text(), re.MULTILINE)
    indent, text = found
    return re.sub(f"^{indent}", "", text, flags=re.MULTILINE)


def printed(command: str) -> str:
    """Return what it prints."""
    _, out, failed = run(*shlex.split(command))
    return f"{out}CommandError: {failed}\n" if failed else out


def same(text: str) -> str:
    """Return a text without what differs each time."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d UTC|Z)|\d+ min", "…", text)
    return re.sub(r"(fingerprint )[0-9a-f]{12}|(: )\d+(?=[,.])", r"\1\2…", text)


@pytest.fixture(autouse=True)
def width(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal as wide as the pages."""
    monkeypatch.setenv("COLUMNS", "119")


@pytest.fixture
def crm(db: None, fake_upstream: Any) -> FakeUpstream:
    """The upstream of the pages."""
    fake: FakeUpstream = fake_upstream("crm")
    return fake


def test_login(crm: FakeUpstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever logs in types a username and a password, and is told what is stored."""
    monkeypatch.setattr("sys.stdin", Terminal("service\n"))
    monkeypatch.setattr(getpass, "getpass", lambda _: "s3cret")
    typed = "Username: service\nPassword:\n"
    assert same(typed + printed("upstream_login crm")) == same(output(OPERATING, "upstream_login crm"))


@responses.activate
def test_login_that_fails(settings: Any) -> None:
    """An answer that is no login's is told with the URL that was asked."""
    (said,) = re.findall(r"^    (CommandError: crm/default: login .*\n.*)\n", (DOCS / OPERATING).read_text(), re.M)
    settings.JWT_UPSTREAM = {"crm": {**settings.JWT_UPSTREAM["crm"], "OPTIONS": {"login_path": "login"}}}
    responses.post("https://crm.example.com/api/login", status=404, body="<p>", content_type="text/html")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JWT_UPSTREAM_USERNAME", "service")
        patch.setenv("JWT_UPSTREAM_PASSWORD", "s3cret")
        assert printed("upstream_login crm").strip() == " ".join(said.split())


def test_try_again(crm: FakeUpstream) -> None:
    """Those that are locked are tried, and a call shows whether one works."""
    for account in ("ann", "bob"):
        crm.logged_in(account)
    Credential.objects.exclude(account="default").update(state="locked")
    crm.answer("GET", "orders/", json={"results": []})
    again, call = "upstream_try_again crm --all", "upstream_request crm GET orders/ --account ann"
    assert printed(again) == output(OPERATING, again)
    assert printed(call).strip() == output(OPERATING, call).strip().replace("[…]", "[]")


def test_move() -> None:
    """What has changed is said, and then confirmed."""
    soon = timezone.now() + timedelta(minutes=53)
    put("crm", access_expires_at=soon, obtained_for={"origin": "https://old.example.com"})
    for command in ("upstream_status crm", "upstream_rebind crm --all"):
        assert same(printed(command)) == same(output(OPERATING, command))


def test_refresh(crm: FakeUpstream) -> None:
    """A round counts what it has done, on both pages that show one."""
    for number in range(12):
        crm.logged_in(f"tenant-{number}", expires_in=0)
    (shown,) = {output(page, "upstream_refresh") for page in (OPERATING, BACKGROUND)}
    assert printed("upstream_refresh") == shown


def test_prune() -> None:
    """What is deleted is counted by its kind."""
    Event.objects.create(upstream="crm", account="ann", kind="failed", at=timezone.now() - timedelta(days=100))
    assert same(printed("upstream_prune")) == same(output(BACKGROUND, "upstream_prune"))


def test_rekey(settings: Any) -> None:
    """It says which key has how many credentials, and which may be removed."""
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    for keys, accounts in (([old], ("ann", "bob")), ([new, old], ("cleo",))):
        settings.JWT_UPSTREAM_ENCRYPTION_KEYS = keys
        for account in accounts:
            logged_in("crm", account)
    assert printed("upstream_rekey") == output(KEYS, "upstream_rekey")
