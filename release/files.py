"""Which files the distributions have, and which they should have by what git has."""

from __future__ import annotations

import os
import re
import subprocess
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def time_of_commit() -> dict[str, str]:
    """Return the environment in which files of the distributions get the time of the last commit."""
    command = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
    return {**os.environ, "SOURCE_DATE_EPOCH": subprocess.check_output(command, text=True).strip()}


def in_git() -> set[str]:
    """Return the files that git has, or is told of by ``git add``, and that are still there."""
    names = subprocess.check_output(["git", "-C", str(ROOT), "ls-files", "-z"], text=True).split("\0")
    return {name for name in names if name and (ROOT / name).exists()}


def differences(path: Path) -> list[str]:
    """Return what is missing in a distribution and what should not be in it, a line each."""
    found, wanted = (_in_wheel, _wheel) if path.suffix == ".whl" else (_in_sdist, _sdist)
    has, should = found(path), wanted()
    missing = [f"{path.name} lacks {name}" for name in sorted(should - has)]
    return missing + [f"{path.name} has {name}" for name in sorted(has - should)]


def _in_wheel(path: Path) -> set[str]:
    with zipfile.ZipFile(path) as wheel:
        return {re.sub(r"^[\w.-]+\.dist-info/", "", name) for name in wheel.namelist()}


def _in_sdist(path: Path) -> set[str]:
    with tarfile.open(path) as sdist:
        return {member.name.partition("/")[2] for member in sdist.getmembers()}


def _wheel() -> set[str]:
    package = {name for name in in_git() if name.startswith("jwt_upstream/")}
    return package | {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}


def _sdist() -> set[str]:
    # Hatchling always takes .gitignore along, with which the wheel of a source distribution has the same files.
    return {name for name in in_git() if not name.startswith(".")} | {".gitignore", "PKG-INFO"}
