"""Pieces of reStructuredText: tables, and what a directive's content says by names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from textwrap import indent
from typing import Any

#: Settings whose name is one word.
_NAMES = "ADMINS|BACKEND|DATABASES|DEBUG|LOGIN|NOTIFY|OPTIONS"
#: How a comment or docstring ends that has an example.
_EXAMPLE = re.compile(r"\s*Example: ``(.+)``\s*$", re.DOTALL)


def table(header: Sequence[str], rows: Iterable[Sequence[str]], widths: Sequence[int]) -> Iterator[str]:
    """Yield the lines of a table whose cells may have several lines."""
    yield from ("", ".. list-table::", "   :header-rows: 1", f"   :widths: {' '.join(map(str, widths))}", "")
    for row in (header, *rows):
        for number, cell in enumerate(row):
            first, *more = cell.strip().split("\n")
            yield f"   {'*' if number == 0 else ' '} - {first}"
            yield from indent("\n".join(more), "       ").split("\n") if more else ()
    yield ""


def literal(value: Any) -> str:
    """Return a value as it is written in settings."""
    if isinstance(value, Mapping):
        value = dict(value)
    return f"``{value!r}``"


def split_example(text: str) -> tuple[str, str]:
    """Return a text without the example at its end, and the example; raises LookupError if there is none."""
    match = _EXAMPLE.search(text)
    if not match:
        raise LookupError(f"no example: {text!r}")
    return text[: match.start()].strip(), " ".join(match[1].split())


def marked(text: str) -> str:
    """Return a plain text, such as a message, with names of settings and options as literals, and no other markup."""
    plain = re.sub(r"([*`|\\])", r"\\\1", text).replace("://", "\\://")
    return re.sub(rf"(?<![\w-])(--[a-z][\w-]+|[A-Z]+(?:_[A-Z]+)+|{_NAMES})(?!\w)", r"\\ ``\1``\\ ", plain).strip()


def texts(content: Iterable[str], names: Iterable[str]) -> dict[str, str]:
    """Return what a directive's content says of each name; raises LookupError for one too few or too many."""
    found: dict[str, str] = {}
    name = ""
    for line in content:
        if match := re.match(r"(\w+): (.*)", line):
            name = match[1]
            found[name] = match[2]
        elif line.strip():
            found[name] += f" {line.strip()}"
    if wrong := found.keys() ^ set(names):
        raise LookupError(f"too few or too many texts: {', '.join(sorted(wrong))}")
    return found


def docstring(text: str | None) -> list[str]:
    """Return the paragraphs of a docstring, each in one line."""
    paragraphs = re.split(r"\n\s*\n", (text or "").strip())
    return [" ".join(paragraph.split()) for paragraph in paragraphs]
