"""Checks that the paths and options which the documentation names are those that exist; see ``make docs``."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from jwt_upstream import exceptions
from jwt_upstream.backends import Backend

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.rst"), *ROOT.glob("docs/*.rst"), *ROOT.glob("docs/reference/backends/*.rst")]
FOLDERS = "jwt_upstream|tests|docs|benchmarks|project|release|requirements"
_LITERAL = re.compile(r"``([^`]+)``")
#: A path from the top, such as ``tests/test_docs.py``; code blocks have those of a reader's own project.
_FROM_TOP = re.compile(rf"(?<![\w/.])(?:{FOLDERS})/[\w/.-]*\w")
#: On the page of the architecture, one inside the package, such as ``client/pool.py``.
_IN_PACKAGE = re.compile(r"``([a-z_]+(?:/[a-z_]+)*(?:\.py|/))``")


def missing_paths() -> Iterator[str]:
    """Yield what is named and isn't there."""
    for page in PAGES:
        text = page.read_text()
        named = {(path, ROOT) for literal in _LITERAL.findall(text) for path in _FROM_TOP.findall(literal)}
        if page.stem == "architecture":
            named |= {(path, ROOT / "jwt_upstream") for path in _IN_PACKAGE.findall(text)}
            named -= {(path, base) for path, base in named if base != ROOT and re.match(f"({FOLDERS})/", path)}
        yield from (f"{page.name}: {path}" for path, base in sorted(named) if not (base / path).exists())


def missing_names() -> Iterator[str]:
    """Yield what the page of the architecture looks for in a file that doesn't define it."""
    text = (ROOT / "docs" / "explanation" / "architecture.rst").read_text()
    for name, path in re.findall(r"``([\w.]+)``\s+(?:in\s+|\()``([\w/]+\.py)``", text):
        file = ROOT / "jwt_upstream" / path
        if file.exists() and not re.search(rf"(?:def|class) {name.rpartition('.')[2]}\b", file.read_text()):
            yield f"architecture.rst: {name} in {path}"


def wrong_options() -> Iterator[str]:
    """Yield the options that the page of the backends lacks, and those that it has and no backend knows."""
    page = (ROOT / "docs" / "reference" / "backends.rst").read_text()
    section = page[page.index("\nOptions\n=") : page.index("\nTested against\n=")]
    rows = re.findall(r"^   \* - (``.*``)$", section, re.MULTILINE)
    told = {name for row in rows for name in _LITERAL.findall(row)}
    yield from (f"backends.rst: option {name}" for name in sorted(told ^ Backend.option_types().keys()))


def wrong_errors() -> Iterator[str]:
    """Yield the errors that their page lacks."""
    page = (ROOT / "docs" / "reference" / "errors.rst").read_text()
    told = set(re.findall(r"autoexception:: jwt_upstream\.exceptions\.(\w+)", page))
    classes = {name: each for name, each in vars(exceptions).items() if isinstance(each, type)}
    defined = {name for name, cls in classes.items() if cls.__module__ == exceptions.__name__}
    yield from (f"errors.rst: {name}" for name in sorted(told ^ defined))


if __name__ == "__main__":
    found = [*missing_paths(), *missing_names(), *wrong_options(), *wrong_errors()]
    sys.exit("\n".join(["The documentation names what is not there, or lacks what is:", *found]) if found else 0)
