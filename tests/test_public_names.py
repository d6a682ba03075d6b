"""What others may import: the paths that do not move, and the names that the documentation lists."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from jwt_upstream import backends
from jwt_upstream.client import UpstreamClient

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "public_names.rst"

#: Exported for the floors above, and not for users.
INTERNAL = {"jwt_upstream.alerts", "jwt_upstream.login", "jwt_upstream.models", "jwt_upstream.refresh"}


def documented() -> dict[str, set[str]]:
    """Return the names that the page lists, by module."""
    found = {}
    for module, names in re.findall(r"^``([\w.]+)``: .*\n\n((?:    .*\n?)+)", PAGE.read_text(), re.MULTILINE):
        found[module] = set(re.findall(r"``(\w+)``", names))
    return found


def test_families_are_imported_when_they_are_named() -> None:
    """Whoever imports the app, lists its backends or misspells one imports no family of servers; all can be named."""
    program = """
import sys
import jwt_upstream.backends as backends
before = {name for name in sys.modules if name.startswith("jwt_upstream.backends.")}
missing = set(backends.__all__) - set(dir(backends))
typo = hasattr(backends, "LexicBackend")
known = sorted(name for name, module in backends._FAMILIES.items() if f"jwt_upstream.backends.{module}" in before)
from jwt_upstream.backends import *
print(sorted(missing), typo, known, LexikBackend.__module__, backends.LexikBackend is LexikBackend)
"""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    told = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert told == "[] False [] jwt_upstream.backends.lexik True\n"
    assert set(backends.__all__) <= set(dir(backends))
    assert not hasattr(backends, "LexicBackend")


@pytest.mark.parametrize(
    "path",
    [
        "jwt_upstream.client.UpstreamClient",
        "jwt_upstream.httpx_auth.AsyncUpstreamClient",
        "jwt_upstream.httpx_auth.UpstreamAuth",
        "jwt_upstream.httpx_auth.UpstreamTransport",
        "jwt_upstream.tokens.TokenPair",
        "jwt_upstream.exceptions.UpstreamError",
        "jwt_upstream.exceptions.UpstreamNotConfigured",
        "jwt_upstream.backends.Backend",
        "jwt_upstream.backends.LexikBackend",
        "jwt_upstream.backends.OAuth2Backend",
        "jwt_upstream.backends.Rule",
        "jwt_upstream.backends.Verdict",
        "jwt_upstream.backends.get_backend",
        "jwt_upstream.signals.credential_rejected",
        "jwt_upstream.login.BrowserLogin",
        "jwt_upstream.models.Credential",
        "jwt_upstream.models.Event",
        "jwt_upstream.fields.EncryptedTextField",
        "jwt_upstream.fields.ExactCharField",
        "jwt_upstream.testing.logged_in",
        "jwt_upstream.views.UpstreamErrorMiddleware",
        "jwt_upstream.views.answer_upstream_errors",
        "jwt_upstream.views.ninja.add_exception_handler",
        "jwt_upstream.views.rest_framework.exception_handler",
        "jwt_upstream.background.refresh_due",
        "jwt_upstream.refresh.refresh",
    ],
)
def test_path_does_not_move(path: str) -> None:
    """A public name is imported from where it always was."""
    module, _, name = path.rpartition(".")
    assert hasattr(import_module(module), name)


def test_page_is_read() -> None:
    """The page lists modules and names that this file finds."""
    assert len(documented()) == 17
    assert "AccountLocked" in documented()["jwt_upstream.exceptions"]


@pytest.mark.parametrize("module", sorted(documented()))
def test_exported_names_are_the_documented_ones(module: str) -> None:
    """A module exports what the documentation lists, each name exists, and nothing else is exported."""
    exported = import_module(module).__all__
    assert all(hasattr(import_module(module), name) for name in exported)
    if module in INTERNAL:
        assert documented()[module] <= set(exported)
    else:
        assert documented()[module] == set(exported)


def test_pickled_clients_survive_a_move_of_the_file() -> None:
    """A pickled client names the public path of its class."""
    assert b"jwt_upstream.client\n" in pickle.dumps(UpstreamClient("crm"), 0)
