"""Searches the built pages as their search box does, for the checks: which pages does a reader get, best first?

The rules and scores are those of Sphinx's ``searchtools.js``; the words are stemmed as Sphinx has done for its index.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from sphinx.search.en import SearchEnglish

INDEX = Path(__file__).parent / "_build" / "html" / "searchindex.js"
_TITLE, _PART_OF_TITLE, _TERM, _PART_OF_TERM, _OBJECT, _PART_OF_OBJECT = 15, 7, 5, 2, 11, 6
_SHORTEST_PART = 3


def found(query: str) -> list[str]:
    """Return the pages that a search finds, best first; one that several results lead to stands at its best."""
    results = [*_by_title(query.lower()), *_by_object(query.lower()), *_by_terms(query)]
    results.sort(key=lambda each: (-each[0], each[1].lower()))
    return list(dict.fromkeys(page for _, _, page in results))


def pages() -> list[str]:
    """Return all pages."""
    return list(_index()["docnames"])


@cache
def _index() -> dict[str, Any]:
    written = INDEX.read_text().removeprefix("Search.setIndex(").rstrip().removesuffix(")")
    index: dict[str, Any] = json.loads(written)
    return index


def _result(score: float, title: str, page: int) -> tuple[float, str, str]:
    return score, title, _index()["docnames"][page]


def _by_title(query: str) -> Iterator[tuple[float, str, str]]:
    for title, places in _index()["alltitles"].items():
        if query in title.lower() and len(query) >= len(title) / 2:
            for page, _ in places:
                own = _index()["titles"][page] == title
                yield _result(round(_TITLE * len(query) / len(title)) + own, title, page)


def _by_object(query: str) -> Iterator[tuple[float, str, str]]:
    words = re.findall(r"\w+", query)
    for prefix, objects in _index()["objects"].items():
        for page, kind, _, _, name in objects:
            full = f"{prefix}.{name}".lower().lstrip(".")
            around = f"{full} {_index()['objnames'][str(kind)][2]} {_index()['titles'][page]}".lower()
            for word in words:
                if word in full and all(other in around for other in words):
                    last = full.rpartition(".")[2]
                    exact = word in (full, last)
                    yield _result(_OBJECT if exact else _PART_OF_OBJECT * (word in last), full, page)


def _by_terms(query: str) -> Iterator[tuple[float, str, str]]:
    language = SearchEnglish({})
    words = [word for word in re.findall(r"\w+", query) if word.lower() not in language.stopwords]
    scores = [_scores(language.stem(word.lower())) for word in words]
    for page in set.intersection(*map(set, scores)) if scores else ():
        yield _result(max(score[page] for score in scores), _index()["titles"][page], page)


def _scores(word: str) -> dict[int, int]:
    """Return the score of each page that has a word in its text or titles."""
    found: dict[int, int] = {}
    for name, score, part in (("terms", _TERM, _PART_OF_TERM), ("titleterms", _TITLE, _PART_OF_TITLE)):
        terms = _index()[name]
        if word in terms:
            found |= dict.fromkeys(_pages(terms[word]), score)
        elif len(word) >= _SHORTEST_PART:
            for term in (term for term in terms if word in term):
                found |= dict.fromkeys(_pages(terms[term]), part)
    return found


def _pages(written: int | list[int]) -> list[int]:
    return [written] if isinstance(written, int) else written
