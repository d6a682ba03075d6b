"""Prints the diagram of the floors, in Graphviz's language, from the package's real imports; see ``make diagrams``."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from tests.support.imports import sources
from tests.test_architecture import FLOORS, PACKAGE, WORDS, ours, part

SAYS = {
    "admin": "pages and actions",
    "alerts": "tells of incidents",
    "monitoring": "health and metrics",
    "apps": "start-up",
    "background": "refresh_due()",
    "backends": "HTTP, no database",
    "checks": "system checks",
    "client": "sends one call",
    "httpx_auth": "for httpx",
    "login": "gets a first pair",
    "management": "commands",
    "refresh": "replaces a pair",
    "store": "database, no HTTP",
    "pytest_plugin": "for pytest",
    "tasks": "for task queues",
    "testing": "for projects' tests",
    "views": "answers to visitors",
}
#: One for each floor above the words. All are light, since the text is dark on light pages and on dark ones.
COLOURS = ("#cfe3ff", "#d3f0d6", "#d3f0d6", "#ffe7b8", "#f4d9ee", "#f4d9ee")


def imports() -> dict[str, set[str]]:
    """Return what each part above the words imports of the others."""
    found: dict[str, set[str]] = {name: set() for floor in FLOORS for name in floor}
    for each, target in ours(sources(PACKAGE)):
        importer, imported = part(each.importer), part(target)
        if importer != imported and importer in found and imported in found:
            found[importer].add(imported)
    return found


def arrows(edges: dict[str, set[str]]) -> Iterator[tuple[str, str]]:
    """Yield the imports that no other import implies."""

    def below(name: str) -> set[str]:
        return edges[name] | {lower for near in edges[name] for lower in below(near)}

    for name in sorted(edges):
        implied = {lower for near in edges[name] for lower in below(near)}
        yield from ((name, lower) for lower in sorted(edges[name] - implied))


def lines() -> Iterator[str]:
    """Yield the lines of the diagram."""
    yield "// Printed by floors.py: don't edit this, run `make diagrams`."
    yield "digraph floors {"
    yield '  graph [rankdir=TB bgcolor=transparent nodesep=0.2 ranksep=0.4 tooltip=" "]'
    yield '  node [shape=box style="rounded,filled" color="#5b6470" fontname="Helvetica,Arial,sans-serif" fontsize=13'
    yield '        fontcolor="#14181d" margin="0.14,0.07" tooltip=" "]'
    yield '  edge [color="#7d8794" penwidth=1.4 arrowsize=0.7 tooltip=" "]'
    for floor, colour in zip(FLOORS, COLOURS, strict=True):
        for name in sorted(floor):
            yield f'  {name} [fillcolor="{colour}" label=<{_label(name, SAYS[name])}>]'
        yield f"  {{ rank=same; {'; '.join(sorted(floor))} }}"
    # Unseen, so that each floor is drawn above the one below it, whether it imports from it or not.
    for floor, above in pairwise(FLOORS):
        yield f"  {{ {' '.join(sorted(above))} }} -> {{ {' '.join(sorted(floor))} }} [style=invis weight=0]"
    yield f'  words [fillcolor="#e3e6ea" margin="0.4,0.07" label=<{_label("words", " · ".join(sorted(WORDS)))}>]'
    for name, lower in arrows(imports()):
        yield f"  {name} -> {lower}"
    for name in sorted(FLOORS[0]):
        yield f"  {name} -> words"
    yield "}"


def _label(name: str, says: str) -> str:
    return f'<b>{name}</b><br/><font point-size="11">{says}</font>'


if __name__ == "__main__":
    print("\n".join(lines()))
