"""The versions that are tried: ``tox.ini`` has them, GitHub's workflow runs them, the classifiers promise them."""

from __future__ import annotations

import itertools
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def cells() -> set[str]:
    """Return the environments of tox.ini with all braces spelt out."""
    lines = re.search(r"env_list =\n((?: .+\n)+)", (ROOT / "tox.ini").read_text())
    assert lines
    found = set()
    for line in lines[1].split():
        parts = [part.split(",") for part in re.split(r"[{}]", line)]
        found |= {"".join(chosen) for chosen in itertools.product(*parts)}
    return found


def workflow() -> dict[str, bool]:
    """Return the cells of the workflow, and whether they may fail."""
    text = (ROOT / ".github" / "workflows" / "tests.yml").read_text()
    return {cell: bool(rest) for cell, rest in re.findall(r'"[\d.]+", cell: ([\w-]+)(, may_fail: true)?}', text)}


def test_workflow() -> None:
    """The workflow runs all cells of tox.ini, and each of its cells is one."""
    assert workflow().keys() == cells()


def test_classifiers() -> None:
    """What PyPI shows is what must pass: a version of Python or Django whose cells may fail isn't promised."""
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    promised = {name for cell, may_fail in workflow().items() if not may_fail for name in cell.split("-")}
    for kind, name in (("Programming Language :: Python", "py"), ("Framework :: Django", "django")):
        shown = re.findall(rf"^{kind} :: (\d)\.(\d+)$", "\n".join(classifiers), re.MULTILINE)
        wanted = {each for each in promised if re.fullmatch(rf"{name}\d+", each)}
        assert {f"{name}{major}{minor}" for major, minor in shown} == wanted
