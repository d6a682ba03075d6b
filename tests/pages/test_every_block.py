"""No Python in the documentation or the README is left unrun: settings are checked here, the rest by others.

``test_project`` shows the same of the files that the how-tos name.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import re
import textwrap
from contextlib import suppress
from itertools import filterfalse
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import responses

from jwt_upstream.backends import make_backend
from jwt_upstream.checks import check_settings
from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import NotLoggedIn
from jwt_upstream.signals import credential_rejected
from jwt_upstream.tokens import TokenPair
from tests.pages.test_project import FILE
from tests.support.pages import DOCS, blocks

TESTS = DOCS.parent / "tests"
PAGES = ["../README.rst", *sorted(page.relative_to(DOCS).as_posix() for page in DOCS.glob("*/**/*.rst"))]
#: Who runs the blocks of a page that are neither settings nor files of the pages' project.
BY_OTHERS = {
    "../README.rst": "pages/test_project.py",
    "explanation/guarantees.rst": "test_docs.py",
    "explanation/security.rst": "system/test_reporters.py",
    "howto/accounts.rst": "pages/test_every_block.py",
    "howto/browser_login.rst": "login/test_documented_views.py",
    "howto/device_login.rst": "test_docs.py",
    "howto/error_pages.rst": "views/test_documented_views.py",
    "howto/httpx.rst": "client/over_httpx/test_documented_code.py",
    "howto/notifiers.rst": "test_docs.py",
    "howto/own_backend.rst": "test_docs.py",
    "howto/sdks.rst": "sdks/page.py",
    "howto/servers.rst": "support/servers.py",
    "howto/timers.rst": "test_tasks.py",
    "reference/backends/lexik.rst": "backends/test_lexik.py",
    "reference/client.rst": "pages/test_every_block.py",
    "reference/monitoring.rst": "test_docs.py",
    "reference/signals.rst": "pages/test_every_block.py",
    "tutorials/symfony.rst": "test_symfony_page.py",
}
KEY = "c2l4dGVlbiBieXRlcyBhbmQgc2l4dGVlbiBieXRlcyE="


def is_settings(block: str) -> bool:
    """Tell whether a block is for the settings: assignments to names in capitals, or a part of such a value."""
    return bool(written(block)) or block.startswith('"') or '\n"OPTIONS": ' in block


def written(block: str) -> list[str]:
    """Return the settings that a block assigns, if it does nothing else."""
    try:
        statements = ast.parse(block).body
    except SyntaxError:
        return []
    targets = [each.targets[0] for each in statements if isinstance(each, ast.Assign)]
    names = [target.id for target in targets if isinstance(target, ast.Name) and target.id.isupper()]
    return names if len(names) == len(statements) else []


def upstreams(page: str, block: str) -> list[Any]:
    """Return the upstreams that a part of JWT_UPSTREAM describes, or one that has the settings or options it shows."""
    found: dict[str, Any] = eval(f"{{{block}\n}}", {"env": str})
    if all(isinstance(each, dict) and "BASE_URL" in each for each in found.values()):
        return list(found.values())
    described = re.search(r"autoclass:: (jwt_upstream\.backends\.\w+Backend)", (DOCS / page).read_text())
    given = {"BACKEND": described[1]} if described else {}
    told = found if next(iter(found)).isupper() else {"OPTIONS": found}
    return [{**given, "BASE_URL": "https://x.example.com/", **told}]


# A backend of the reader's own has a test of its own, and so have all settings that name one of ours.
SETTINGS = [
    (page, block)
    for page in PAGES
    for block in blocks(page, "python")
    if is_settings(block) and page != "howto/own_backend.rst" and not ("/backends/" in page and '"BACKEND"' in block)
]


@pytest.mark.parametrize(("page", "block"), SETTINGS, ids=[page for page, _ in SETTINGS])
def test_settings(page: str, block: str, settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The settings that a page shows have no errors."""
    if not written(block):
        for configured in upstreams(page, block):
            assert list(make_backend("x", configured).check()) == []
        return
    (tmp_path / "encryption.key").write_text(KEY)
    monkeypatch.setenv("UPSTREAM_KEY", KEY)
    monkeypatch.setenv("SLACK_URL", "https://hooks.example.com/x")
    settings.JWT_UPSTREAM_WEBHOOK_URL, settings.JWT_UPSTREAM_WEBHOOK_SECRET = "https://hooks.example.com/y", "s3cret"
    found: dict[str, Any] = {"os": os, "BASE_DIR": tmp_path, "DATABASES": {}}
    exec(block, found)
    for name in written(block):
        if name == "JWT_UPSTREAM_NOTIFIERS":  # test_project imports those of the pages
            found[name] = [each for each in found[name] if not each.startswith("shop.")]
        if name.startswith("JWT_UPSTREAM"):
            setattr(settings, name, found[name])
    assert [error for error in check_settings() if error.is_serious()] == []


def _none(block: str) -> None:
    """No block of a tutorial is of the how-tos' project."""


def test_every_block() -> None:
    """Each block is settings, a file of the project, code that a tutorial writes, or run by the test named here."""
    for page in PAGES:
        is_of_project = FILE.match if page.startswith("howto/") else _none
        rest = [block for block in blocks(page, "python") if not is_settings(block) and not is_of_project(block)]
        assert bool(rest) == (page in BY_OTHERS), page
    for page, test in BY_OTHERS.items():
        text = (TESTS / test).read_text()
        assert page.removeprefix("../") in text or Path(page).stem in text, (page, test)


def is_python(text: str) -> bool:
    """Tell whether a text is Python, or a part of settings."""
    for code in (text, f"{{{text}}}"):
        with suppress(SyntaxError):
            return bool(ast.parse(code).body)
    return False


def test_literal_blocks() -> None:
    """A block that is only said to be literal, and so belongs to nobody, is no Python."""
    literal = re.compile(r"^(?! *\.\. ).*::\n\n((?: {3,}.*\n|\n)+)", re.MULTILINE)
    shown = [(page, block) for page in PAGES for block in literal.findall((DOCS / page).read_text() + "\n")]
    assert len(shown) > 20
    assert [each for each in shown if is_python(textwrap.dedent(each[1]))] == []


def test_before() -> None:
    """What a page shows as it was before is Python."""
    shown = [block for page in PAGES for block in blocks(page, "python") if block.startswith("# before: ")]
    assert len(shown) == 2
    for block in shown:
        compile(block, "before", "exec")


class _Sdk:
    """Any SDK, and whatever it gives."""

    def __getattr__(self, name: str) -> _Sdk:
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> _Sdk:
        return self


def test_lines_of_the_client(db: None, fake_upstream: Any) -> None:
    """The lines of the page on the client follow each other; an SDK and a WebSocket are stood in for."""
    crm = fake_upstream("crm")
    crm.logged_in("tenant-42")
    crm.answer("POST", "orders/", json={"id": 1})
    names: dict[str, Any] = {"gitlab": _Sdk(), "websockets": _Sdk(), "url": "wss://x"}

    for block in filterfalse(is_settings, blocks("reference/client.rst", "python")):
        code = compile(block, "client.rst", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        done = eval(code, names)
        if inspect.iscoroutine(done):
            asyncio.run(done)
    assert names["response"].json() == {"id": 1}
    assert (names["client"].alias, names["client"].account) == ("crm", "tenant-42")
    assert names["token"].access


@pytest.mark.django_db
def test_registered_account(settings: Any) -> None:
    """The account of the page is stored, and its calls go where the page says."""
    shown = list(blocks("howto/accounts.rst", "python"))
    configured = next(block for block in shown if block.startswith("JWT_UPSTREAM"))
    registered = next(block for block in shown if "UpstreamClient.register(" in block)
    names: dict[str, Any] = {"secret": "s3cret"}
    exec(configured, names)
    settings.JWT_UPSTREAM = names["JWT_UPSTREAM"]
    with pytest.raises(NotLoggedIn):  # nobody has, and a password is needed
        exec(registered, names)
    client = UpstreamClient("shop", "acme")
    client.adopt(TokenPair(access="a1", refresh="r1"))
    (address,) = re.findall(r"# (https://\S+)", registered)
    with responses.RequestsMock() as shop:
        shop.get(address, json=[])
        assert client.get("orders/").json() == []


def test_receiver() -> None:
    """The receiver of the page on signals is called with what it takes."""
    paused: list[Any] = []
    pause = SimpleNamespace(delay=lambda *names: paused.append(names))
    receiving: dict[str, Any] = {"pause": pause}
    exec(next(blocks("reference/signals.rst", "python")), receiving)
    try:
        event = SimpleNamespace(reason="HTTP 401")
        credential_rejected.send(None, credential=SimpleNamespace(upstream="crm", account="acme"), event=event)
    finally:
        credential_rejected.disconnect(receiving["pause_imports"])
    assert paused == [("crm", "acme", "HTTP 401")]
