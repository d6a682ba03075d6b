"""The lower bounds in requirements/: the ones that ``make test-lowest`` tries are the ones that are promised."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "requirements"


def versions(operator: str, *names: str) -> dict[str, str]:
    """Return the version that stands after an operator, by package."""
    lines = [line for name in names for line in (FOLDER / f"{name}.txt").read_text().splitlines()]
    found = (re.fullmatch(rf"([\w.-]+){operator}([\d.]+)", line) for line in lines)
    return {match[1]: match[2] for match in found if match}


def test_lowest_versions() -> None:
    """Each library has a lower bound, and the tests are run with just that version of it."""
    bounds = versions(">=", "base", "demo", "test")
    assert bounds == versions("==", "lowest")
    lines = [line for name in ("base", "demo", "test") for line in (FOLDER / f"{name}.txt").read_text().splitlines()]
    assert len([line for line in lines if line and not line.startswith(("#", "-r "))]) == len(bounds)
