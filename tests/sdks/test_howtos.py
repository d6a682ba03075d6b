"""The how-tos' code that needs Channels or social-auth-app-django, in the project of all how-tos."""

from __future__ import annotations

from pathlib import Path

from tests.pages.test_project import outcome, unused


def test_project(tmp_path: Path) -> None:
    """With these libraries no test of the project is passed over, nor the files that need them."""
    assert "37 passed" in outcome(tmp_path)
    assert unused(tmp_path).isdisjoint({"shop/adopting_social.py", "shop/consumers.py"})
