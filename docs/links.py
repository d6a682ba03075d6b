"""Checks the links of the built pages that lead to one of them: the page, the anchor and the picture must be there."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

HTML = Path(__file__).parent / "_build" / "html"
#: What a link is in, by element.
_ATTRIBUTES = {"a": "href", "img": "src", "link": "href", "script": "src"}


class _Page(HTMLParser):
    """The links and anchors of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = {""}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element's link and anchor."""
        found = dict(attrs)
        self.anchors |= {value for name in ("id", "name") if (value := found.get(name))}
        if value := found.get(_ATTRIBUTES.get(tag, "")):
            self.links.add(value)


@cache
def _read(file: Path) -> _Page:
    page = _Page()
    page.feed(file.read_text())
    return page


def broken() -> Iterator[str]:
    """Yield the links that lead nowhere."""
    for file in sorted(HTML.rglob("*.html")):
        for link in sorted(_read(file).links):
            parts = urlsplit(link)
            if not parts.scheme and not parts.netloc:
                yield from _missing(file, link, unquote(parts.path), unquote(parts.fragment))


def _missing(file: Path, link: str, path: str, anchor: str) -> Iterator[str]:
    target = (file.parent / path).resolve() if path else file
    if not target.exists():
        yield f"{file.relative_to(HTML)}: {link} is not there"
    elif target.suffix == ".html" and anchor not in _read(target).anchors:
        yield f"{file.relative_to(HTML)}: {link} has no such anchor"


if __name__ == "__main__":
    raise SystemExit("\n".join(broken()) or None)
