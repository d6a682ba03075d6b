"""The lower bounds in requirements/ and pyproject.toml: those that are promised are tried."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from release.extras import PARTS

FOLDER = Path(__file__).parent.parent / "requirements"


def versions(operator: str, *names: str) -> dict[str, str]:
    """Return the version that stands after an operator, by package."""
    lines = [line for name in names for line in (FOLDER / f"{name}.txt").read_text().splitlines()]
    found = (re.fullmatch(rf"([\w.-]+){operator}([\d.]+(?:b\d+)?)", line) for line in lines)
    return {match[1]: match[2] for match in found if match}


def test_lowest_versions() -> None:
    """Each library has a lower bound, and the tests are run with just that version of it."""
    bounds = versions(">=", "base", "demo", "test")
    assert bounds == versions("==", "lowest")
    lines = [line for name in ("base", "demo", "test") for line in (FOLDER / f"{name}.txt").read_text().splitlines()]
    assert len([line for line in lines if line and not line.startswith(("#", "-r "))]) == len(bounds)


def project() -> dict[str, Any]:
    """Return what pyproject.toml says of the distribution."""
    return dict(tomllib.loads((FOLDER.parent / "pyproject.toml").read_text())["project"])


def test_dependencies() -> None:
    """Who installs the package gets the libraries, and the lower bounds, that the tests are run with."""
    lines = (FOLDER / "base.txt").read_text().splitlines()
    assert project()["dependencies"] == [line for line in lines if not line.startswith("#")]


def test_extras() -> None:
    """An extra has the lower bound with which its library is tested; the SDK and API of OpenTelemetry go together."""
    names = ("test", "mysql", "postgres")
    tested = [line for name in names for line in (FOLDER / f"{name}.txt").read_text().splitlines()]
    for extra, requirements in project()["optional-dependencies"].items():
        for requirement in requirements:
            assert requirement.replace("opentelemetry-api", "opentelemetry-sdk") in tested, extra


def test_extras_are_tried() -> None:
    """``make extras`` tries each extra alone."""
    assert {part.extra for part in PARTS} - {""} == {*project()["optional-dependencies"]}
