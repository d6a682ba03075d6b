"""Builds both distributions into ``dist``, and says what is wrong with them: ``make package``."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from release.files import ROOT, differences, in_git, time_of_commit

DIST = ROOT / "dist"


def build(source: Path, target: Path) -> list[Path]:
    """Build a source distribution, and the wheel of that, and return their files by name."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(target), str(source)]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=time_of_commit())
    if result.returncode:
        sys.exit(result.stdout)
    return sorted(target.iterdir())


def build_elsewhere(folder: Path) -> list[Path]:
    """Build them of a copy, which has other times and another path."""
    for name in in_git():
        (folder / "copy" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / "copy" / name)
    return build(folder / "copy", folder / "dist")


def main() -> str | None:
    """Return what is wrong, if anything."""
    shutil.rmtree(DIST, ignore_errors=True)
    built = build(ROOT, DIST)
    if wrong := [line for path in built for line in differences(path)]:
        return "\n".join(wrong)
    with tempfile.TemporaryDirectory() as folder:
        for one, other in zip(built, build_elsewhere(Path(folder)), strict=True):
            if one.read_bytes() != other.read_bytes():
                return f"{one.name} has other bytes when it is built of a copy."
    for path in built:
        print(path.relative_to(ROOT))
    return None


if __name__ == "__main__":
    sys.exit(main())
