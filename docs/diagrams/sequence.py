"""Prints a sequence diagram in Graphviz's language, of a file that says who tells whom what; see ``make diagrams``.

The first line names those who take part, with ``|`` between them. Each further line is one of these::

    A -> B: a request
    B --> A: an answer
    A: what A does meanwhile
    == what holds from here on
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap

#: Points between two lines of life, and from one row to the next.
COLUMN, ROW = 215, 44
#: All are light, since the text is dark on light pages and on dark ones.
HEAD, DOING, HOLDS, SAID = "#cfe3ff", "#ffe7b8", "#e3e6ea", "#f4f5f7"
_LINE = re.compile(r"(?P<left>[^:]*?) (?P<arrow>-->|->) (?P<right>[^:]*): (?P<said>.*)|(?P<who>[^:]*): (?P<does>.*)")


def lines(text: str) -> Iterator[str]:
    """Yield the lines of the diagram; positions are final, for ``neato -n2``."""
    first, *rows = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    places = {name.strip(): number * COLUMN for number, name in enumerate(first.split("|"))}
    yield "digraph sequence {"
    yield '  graph [bgcolor=transparent splines=line tooltip=" "]'
    yield '  node [shape=box style="rounded,filled" color="#5b6470" fontname="Helvetica,Arial,sans-serif" fontsize=12'
    yield '        fontcolor="#14181d" margin="0.08,0.04" tooltip=" "]'
    yield '  edge [color="#7d8794" penwidth=1.4 arrowsize=0.7 tooltip=" "]'
    for name, x in places.items():
        yield f'  "{name}" [pos="{x},0" fillcolor="{HEAD}" label=<<b>{name}</b>>]'
        yield f'  "end of {name}" [shape=point width=0.02 pos="{x},{-(len(rows) + 1) * ROW}"]'
        yield f'  "{name}" -> "end of {name}" [arrowhead=none style=dotted]'
    for number, row in enumerate(rows, 1):
        yield from _row(row, places, number)
    yield "}"


def _row(row: str, places: dict[str, int], number: int) -> Iterator[str]:
    y = -number * ROW
    if row.startswith("=="):
        middle = max(places.values()) / 2
        yield _box(f"row {number}", middle, y, row.strip("= "), HOLDS, round(max(places.values()) / 5))
    elif (match := _LINE.fullmatch(row)) is None:
        raise ValueError(f"neither who tells whom nor who does what: {row}")
    elif match["who"]:
        yield _box(f"row {number}", places[match["who"].strip()], y, match["does"], DOING, 32)
    else:
        left, right = places[match["left"].strip()], places[match["right"].strip()]
        style = "dashed" if match["arrow"] == "-->" else "solid"
        for side, x in (("from", left), ("to", right)):
            yield f'  "{side} {number}" [shape=point width=0.01 style=invis pos="{x},{y - 9}"]'
        yield f'  "from {number}" -> "to {number}" [style={style}]'
        characters = round(abs(right - left) / 6)
        yield _box(f"row {number}", (left + right) / 2, y + 4, match["said"], SAID, characters, 'color="transparent"')


def _box(name: str, x: float, y: float, text: str, colour: str, characters: int, more: str = "") -> str:
    label = "\\n".join(wrap(text, characters))
    return f'  "{name}" [pos="{x},{y}" fillcolor="{colour}" label="{label}" fontsize=11 height=0.2 {more}]'


if __name__ == "__main__":
    print("\n".join(lines(Path(sys.argv[1]).read_text())))
