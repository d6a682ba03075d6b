"""What others may import: the paths that do not move, and the names that the documentation lists."""

from __future__ import annotations

import pickle
import re
from importlib import import_module
from pathlib import Path

import pytest

from jwt_upstream.client import UpstreamClient

PAGE = Path(__file__).parents[1] / "docs" / "public_names.rst"

#: Exported for the floors above, and not for users.
INTERNAL = {"jwt_upstream.refresh"}


def documented() -> dict[str, set[str]]:
    """Return the names that the page lists, by module."""
    found = {}
    for module, names in re.findall(r"^``([\w.]+)``: .*\n\n((?:    .*\n?)+)", PAGE.read_text(), re.MULTILINE):
        found[module] = set(re.findall(r"``(\w+)``", names))
    return found


@pytest.mark.parametrize(
    "path",
    [
        "jwt_upstream.client.UpstreamClient",
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
        "jwt_upstream.models.Credential",
        "jwt_upstream.models.Event",
        "jwt_upstream.fields.EncryptedTextField",
        "jwt_upstream.fields.ExactCharField",
        "jwt_upstream.testing.logged_in",
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
    assert len(documented()) == 10
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
