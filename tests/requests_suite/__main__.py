"""Downloads the source of the installed requests from PyPI and runs its tests, each as ``differences.txt`` expects."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).parent
#: No business of theirs is what our own project says of tests.
PYTEST = ["-p", "upstream_plugin", "-p", "no:django", "-p", "no:cacheprovider", "-q", "-W", "ignore"]
#: Most tests wait for a server; each worker has servers of its own.
PYTEST += ["-n", "4", "--dist", "worksteal"]


def download(folder: Path) -> Path:
    """Unpack the source of the requests that is installed; return its folder."""
    name = f"requests=={version('requests')}"
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "--no-binary", "requests", "--dest", str(folder), name], check=True)
    (archive,) = folder.glob("requests-*.tar.gz")
    with tarfile.open(archive) as source:
        source.extractall(folder, filter="data")
    return archive.with_name(archive.name.removesuffix(".tar.gz"))


def run(source: Path, arguments: list[str]) -> int:
    """Run the suite where it was unpacked, since it opens its certificates by relative paths; return pytest's code."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (HERE, HERE.parents[1])))}
    command = [sys.executable, "-m", "pytest", *PYTEST, *arguments]
    return subprocess.run(command, cwd=source, env=environment, check=False).returncode


if __name__ == "__main__":
    with TemporaryDirectory() as temporary:
        sys.exit(run(download(Path(temporary)), sys.argv[1:]))
