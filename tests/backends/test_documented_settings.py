"""The settings that the documentation offers to copy are right."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from jwt_upstream.backends import make_backend

PAGES = Path(__file__).parents[2] / "docs" / "reference" / "backends"


def documented(page: str) -> dict[str, Any]:
    """Return the upstreams that a page shows, as in JWT_UPSTREAM; ``env`` gives a variable's name for its value."""
    blocks = (PAGES / page).read_text().split(".. code-block:: python\n")[1:]
    codes = ["\n".join(_until_margin(block.splitlines())) for block in blocks]
    found = [eval(f"{{{textwrap.dedent(code)}\n}}", {"env": str}) for code in codes if '"BACKEND"' in code]
    return {alias: written for upstreams in found for alias, written in upstreams.items()}


def _until_margin(lines: list[str]) -> list[str]:
    # A block ends where a line begins at the margin.
    end = next((number for number, line in enumerate(lines) if line[:1].strip()), len(lines))
    return lines[:end]


NAMES = [*(page.name for page in sorted(PAGES.glob("*.rst"))), "../../howto/service_accounts.rst"]
UPSTREAMS = [(name, alias) for name in NAMES for alias in documented(name)]


@pytest.mark.parametrize(("page", "alias"), UPSTREAMS)
def test_settings_to_copy(page: str, alias: str) -> None:
    """Every example is accepted, and lacks nothing that a request needs."""
    backend = make_backend(alias, documented(page)[alias])
    assert (list(backend.check()), list(backend.missing())) == ([], [])


def test_each_page_has_some() -> None:
    """No page is left out."""
    assert {page for page, _ in UPSTREAMS} == set(NAMES)
