"""``make smoke`` follows the tutorials; here is what it makes of a page, and of an output that differs."""

from __future__ import annotations

from pathlib import Path

import pytest

from release.pages import blocks, pattern
from release.tutorials import TUTORIALS


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_nothing_is_passed_over(page: Path) -> None:
    """Each block of a page is a file to write, a terminal to look at, or has commands to type."""
    found = blocks(page)
    assert len(found) == page.read_text().count("code-block:: ")
    for block in found:
        assert block.file or "terminal" in block.caption or list(block.commands())


SHOWN = "Applying …\n…\ncrm  active  17 s  -\nfingerprint 0dd4cbee42ab\n"


@pytest.mark.parametrize(
    ("output", "is_as_shown"),
    [
        ("Applying 0001\nmore\nand more\ncrm  active   9 s     -\nfingerprint 1dede576be4e\n", True),
        ("Applying 0001\ncrm  active  9 s  -\nfingerprint 1dede576be4e\n", True),
        ("Applying 0001\ncrm  locked  9 s  -\nfingerprint 1dede576be4e\n", False),
        ("Applying 0001\ncrm  active  9 s  -\nfingerprint 1dede576be4e\nTraceback\n", False),
        ("crm  active  9 s  -\nfingerprint 1dede576be4e\n", False),
    ],
)
def test_outputs(output: str, is_as_shown: bool) -> None:
    """Numbers, fingerprints and columns may differ; words, and lines that are not shown, may not."""
    assert bool(pattern(SHOWN).fullmatch(output)) is is_as_shown


def test_versions_of_django(tmp_path: Path) -> None:
    """A block for an earlier Django says until which version, and what is added to a file says so."""
    page = tmp_path / "page.rst"
    page.write_text(".. code-block:: python\n    :caption: a/b.py, at the end, before Django 6.1\n\n    X = 1\n")
    (block,) = blocks(page)
    assert (block.file, block.is_added, block.before_django, block.text) == ("a/b.py", True, (6, 1), "X = 1\n")
