"""The code blocks of the documentation, for the tests that run them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page: str, language: str) -> Iterator[str]:
    """Yield a page's code blocks in a language, dedented; those with a caption are the tutorials'."""
    pattern = rf"\.\. code-block:: {language}\n\n((?:    .*\n|\n)+)"
    for block in re.findall(pattern, (DOCS / page).read_text() + "\n"):
        yield textwrap.dedent(block).strip() + "\n"
