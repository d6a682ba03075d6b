"""Checks that every path which the documentation names exists; see ``make docs``."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.rst"), *ROOT.glob("docs/*.rst"), *ROOT.glob("docs/backends/*.rst")]
FOLDERS = "jwt_upstream|tests|docs|benchmarks|project|requirements"
_LITERAL = re.compile(r"``([^`]+)``")
#: A path from the top, such as ``tests/test_docs.py``; code blocks have those of a reader's own project.
_FROM_TOP = re.compile(rf"(?<![\w/.])(?:{FOLDERS})/[\w/.-]*\w")
#: On the page of the architecture, one inside the package, such as ``client/pool.py``.
_IN_PACKAGE = re.compile(r"``([a-z_]+(?:/[a-z_]+)*(?:\.py|/))``")


def missing() -> Iterator[str]:
    """Yield what is named and isn't there."""
    for page in PAGES:
        text = page.read_text()
        named = {(path, ROOT) for literal in _LITERAL.findall(text) for path in _FROM_TOP.findall(literal)}
        if page.stem == "architecture":
            named |= {(path, ROOT / "jwt_upstream") for path in _IN_PACKAGE.findall(text)}
            named -= {(path, base) for path, base in named if base != ROOT and re.match(f"({FOLDERS})/", path)}
        yield from (f"{page.name}: {path}" for path, base in sorted(named) if not (base / path).exists())


if __name__ == "__main__":
    sys.exit("\n".join(["No such files:", *found]) if (found := list(missing())) else 0)
