"""What a tutorial has its reader do: the files to write and the commands to type, in the order of the page."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(
    r"^\.\. code-block:: (?:console|python|html)\n(?: {4}:caption: (.+)\n)?\n((?: {4}.*\n|\n)+)", re.MULTILINE
)
_LAST = ", at the end"


@dataclass(frozen=True)
class Block:
    """A code block of a page, with the words above it."""

    caption: str
    text: str

    @property
    def file(self) -> str:
        """The path of the file that this is, or is to be added to; empty for a terminal."""
        return self.caption.partition(",")[0] if "." in self.caption else ""

    @property
    def is_added(self) -> bool:
        """Whether this goes to the end of the file, rather than into its place."""
        return _LAST in self.caption

    @property
    def before_django(self) -> tuple[int, ...]:
        """The version from which on the reader passes over this; empty if there is none."""
        _, _, version = self.caption.partition("before Django ")
        return tuple(map(int, version.split("."))) if version else ()

    def commands(self) -> Iterator[tuple[str, str]]:
        """Yield each command with what is shown below it."""
        for part in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            yield command, shown


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page that its reader acts on or compares with."""
    found = _BLOCK.findall(page.read_text() + "\n")
    return [Block(caption, textwrap.dedent(text).strip("\n") + "\n") for caption, text in found]


def pattern(shown: str) -> re.Pattern[str]:
    """Return what an output has to match; numbers, fingerprints and columns may be others, and "…" is anything."""
    lines = [_line(line) for line in shown.strip("\n").split("\n")]
    return re.compile("".join(lines), re.MULTILINE)


def _line(line: str) -> str:
    if line == "…":
        return r"(?:.*\n)*?"
    # Places of even number are as they stand.
    parts = re.split(r"(\b[0-9a-f]{12}\b|\d+|…|  +)", line)
    return "".join(_wild(part) if place % 2 else re.escape(part) for place, part in enumerate(parts)) + " *\n"


def _wild(part: str) -> str:
    if part == "…":
        return ".*"
    return " +" if part.isspace() else "[0-9a-f]+"
