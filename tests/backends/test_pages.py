"""The documentation's page on each backend: what it has, and that its settings work as they stand."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from jwt_upstream import backends
from jwt_upstream.backends import make_backend

PAGES = sorted((Path(__file__).parents[2] / "docs" / "reference" / "backends").glob("*.rst"))
HEADINGS = ["Settings to copy", "What it sends", "How it recognises each event", "What the server hides"]


def settings_to_copy(page: Path) -> dict[str, Any]:
    """Return the first block of settings on a page, with something for each secret."""
    match = re.search(r"Settings to copy\n=+\n(?s:.*?)code-block:: python\n\n((?: {4}.*\n|\n)+)", page.read_text())
    assert match, page.name
    written: dict[str, Any] = eval("{" + dedent(match[1]) + "}", {"env": str.lower})
    return written


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_headings(page: Path) -> None:
    """Every page says the same things in the same order."""
    assert re.findall(r"^(\w.+)\n=+$", page.read_text(), re.MULTILINE)[1:] == HEADINGS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_settings_to_copy(page: Path) -> None:
    """What is there to be copied is complete, and each option exists."""
    for alias, written in settings_to_copy(page).items():
        backend = make_backend(alias, written)
        assert (list(backend.check()), list(backend.missing())) == ([], [])


def test_no_backend_lacks_a_page() -> None:
    """Each class is told of on some page, the plain one beside the pages."""
    told = {
        name for page in PAGES for name in re.findall(r"autoclass:: jwt_upstream\.backends\.(\w+)", page.read_text())
    }
    assert told == {name for name in backends.__all__ if name.endswith("Backend")} - {"Backend"}
