"""The tutorial with Symfony: its Django half is followed, with the answers of Lexik and of the refresh bundle."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import jwt
import pytest
import responses
import time_machine
from django.test import Client
from django.urls import path

from tests.support.pages import blocks
from tests.test_docs import run

PAGE = "tutorials/symfony.rst"
API = "https://crm.example.com/api/"
NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)
#: What differs from one token, or from one day on which the database looks at its clock, to the next.
OTHER = re.compile(r"fingerprint [0-9a-f]{12}|\d{4}-\d\d-\d\d \d\d:\d\d")


class _Commands:
    """The commands of the page, each with what is shown below it."""

    def __init__(self) -> None:
        steps = re.split(r"^\$ ", "".join(blocks(PAGE, "console")), flags=re.MULTILINE)[1:]
        self._left = [(command, shown) for command, _, shown in (step.partition("\n") for step in steps)]

    def next_is_as_shown(self) -> bool:
        command, shown = self._left.pop(0)
        printed, expected = (OTHER.sub("", text).strip() for text in (run(command.partition(" <")[0]), shown))
        assert printed == expected
        return True

    def __len__(self) -> int:
        return len(self._left)


def _pair(number: int) -> dict[str, Any]:
    """Return the answer of both bundles with return_expiration."""
    token = jwt.encode({"exp": NOW + timedelta(minutes=5), "jti": str(number)}, "k" * 32)
    ends = NOW + timedelta(days=30)
    return {"token": token, "refresh_token": f"refresh-{number}", "refresh_token_expiration": int(ends.timestamp())}


@pytest.fixture
def commands(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Commands]:
    """The page's settings and view, in a terminal of 100 columns, on the day on which the page was written."""
    for block in blocks(PAGE, "python"):
        if block.startswith("# settings.py"):
            (tmp_path / "encryption.key").write_text("c2l4dGVlbiBieXRlcyBhbmQgc2l4dGVlbiBieXRlcyE=")
            written: dict[str, Any] = {"BASE_DIR": tmp_path}
            exec(block, written)
            settings.JWT_UPSTREAM = written["JWT_UPSTREAM"]
            settings.JWT_UPSTREAM_ENCRYPTION_KEYS = written["JWT_UPSTREAM_ENCRYPTION_KEYS"]
        elif block.startswith("# shop/views.py"):
            exec(block, (site := ModuleType("site")).__dict__)
            vars(site)["urlpatterns"] = [path("customers/", site.customers)]
            settings.ROOT_URLCONF = site
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys, "stdin", io.StringIO("lamp-shade\n"))
    with time_machine.travel(NOW, tick=False):
        yield _Commands()


@pytest.mark.django_db
def test_followed(commands: _Commands) -> None:
    """Each command prints what the page says, at first, with a deactivated user, and after that."""
    visitor = Client()
    with responses.RequestsMock() as symfony:
        login = symfony.post(f"{API}login_check", json=_pair(1))
        disabled = {"code": 401, "message": "Account is disabled."}
        symfony.get(f"{API}customers", json=disabled, status=401)
        refresh = symfony.post(f"{API}token/refresh", json=_pair(2))
        assert commands.next_is_as_shown()
        assert commands.next_is_as_shown()
        assert login.calls[0].request.body == b'{"username": "shop", "password": "lamp-shade"}'
        assert visitor.get("/customers/").status_code == 503
        assert commands.next_is_as_shown()
        assert commands.next_is_as_shown()
        assert refresh.calls[0].request.body == b'{"refresh_token": "refresh-1"}'
        symfony.replace(responses.GET, f"{API}customers", json=[{"name": "Ann"}])
        assert visitor.get("/customers/").json() == [{"name": "Ann"}]
    assert not len(commands)


@pytest.mark.django_db
@pytest.mark.usefixtures("commands")
def test_tests(fake_upstream: Any) -> None:
    """The page's tests pass."""
    shown: dict[str, Any] = {}
    exec(next(block for block in blocks(PAGE, "python") if block.startswith("# tests/test_customers.py")), shown)
    crm = shown["crm"].__wrapped__(fake_upstream)
    shown["test_expired_token"](Client(), crm)
    shown["test_deactivated_user"](Client(), crm)
