"""The page itself: no line on it that isn't run."""

from __future__ import annotations

from pathlib import Path

from tests.sdks.page import titles


def test_all_is_run() -> None:
    """Each section of the page that has code is named in a test."""
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert [title for title in titles() if f'"{title}"' not in tests] == []
    assert len(titles()) > 10
