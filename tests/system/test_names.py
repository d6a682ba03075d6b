"""Rows with names that no client of ours would write, such as those of SQL and fixtures, lie to nobody."""

from __future__ import annotations

import io
import shlex
from contextlib import suppress
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.core.management import CommandError, call_command
from django.test import Client as Browser

from jwt_upstream.client import UpstreamClient
from jwt_upstream.models import Credential, Incident
from jwt_upstream.names import command
from tests.support.upstream import Answer, Upstream

#: Clears a terminal's line, begins a mail's header, and turns the direction of what follows.
LYING = "acme\x1b[2K\r\nBcc: all@example.com\u202e\u2066evil"


def harmless(text: str) -> bool:
    return all(char.isprintable() or char in "\n\t" for char in text)


@pytest.fixture
def row(client: UpstreamClient) -> Credential:
    Credential.objects.update(account=LYING, username=LYING, access_expires_at="2020-01-01T00:00Z")
    return Credential.objects.get()


def test_texts(row: Credential) -> None:
    """A credential's name and its remedy show what is there by escapes."""
    assert harmless(f"{row} {row.remedy}")
    assert str(row) == r"up/acme\x1b[2K\r\nBcc: all@example.com\u202e\u2066evil"


def test_refresh_that_fails(row: Credential, upstream: Upstream, caplog: pytest.LogCaptureFixture) -> None:
    """Neither commands, nor the log, nor the mail that is sent say anything else."""
    upstream.answers["/refresh"] = Answer(401, {"code": "token_not_valid"})
    out = io.StringIO()
    for arguments in (["upstream_refresh"], ["upstream_status"], ["upstream_status", "--check"]):
        with suppress(CommandError, SystemExit):
            call_command(*arguments, stdout=out, stderr=out)
    assert Incident.objects.get().kind == "rejected"
    assert "acme" in out.getvalue()
    assert harmless(out.getvalue())
    assert harmless("".join(record.getMessage() for record in caplog.records))
    (message,) = mail.outbox
    assert [char for char in f"{message.subject} {message.body}" if not harmless(char)] == []


def test_admin(row: Credential) -> None:
    """The admin's pages show the escapes."""
    browser = Browser()
    browser.force_login(User.objects.create_superuser("root"))
    page: Any = browser.get("/admin/jwt_upstream/credential/")
    assert r"acme\x1b[2K" in page.content.decode()
    assert "\x1b" not in page.content.decode()


def test_command_to_copy() -> None:
    """A name that our commands refuse is written by the shell's own escapes, and stands for no other account."""
    assert command("upstream_login", "up", "a\x1bb") == r"manage.py upstream_login up --account $'a\x1bb'"
    assert command("upstream_login", "up", "it's \\\x07") == r"manage.py upstream_login up --account $'it\'s \\\x07'"
    assert shlex.split(command("upstream_login", "up", "it's")) == [
        "manage.py",
        "upstream_login",
        "up",
        "--account",
        "it's",
    ]
