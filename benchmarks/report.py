"""Where results go: JSON with machine, versions and command, a table for the documentation, and a plot."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

#: What the documentation shows; a quick run writes elsewhere.
RESULTS = Path(__file__).parent / "results"
_PACKAGES = (
    "Django",
    "asgiref",
    "requests",
    "urllib3",
    "httpx2",
    "httpcore2",
    "httpx",
    "requests-oauthlib",
    "oauthlib",
    "requests-oauth2client",
    "Authlib",
    "google-auth",
    "aiohttp",
)


class Folder:
    """Where this run writes."""

    path = RESULTS


def machine(databases: Sequence[str], command: str = "") -> dict[str, Any]:
    """Describe where and with what a run was made."""
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "command": command or " ".join(["python -m benchmarks", *sys.argv[1:]]),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
        "databases": list(databases),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def told(about: dict[str, Any]) -> str:
    """Return the machine's description as a paragraph."""
    packages = ", ".join(f"{name} {number}" for name, number in about["packages"].items())
    return (
        f"``{about['command']}``, {about['date']}, on {about['cores']} cores of {about['processor']} "
        f"(load {about['load']} at the start), {about['system']}, Python {about['python']}; "
        f"{'; '.join(filter(None, [packages, ', '.join(about['databases'])]))}.\n"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a reStructuredText table."""
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in cells:
        lines += [f"   {'*' if not at else ' '} - {cell}".rstrip() for at, cell in enumerate(row)]
    return "\n".join([*lines, ""])


def save(name: str, results: dict[str, Any], *texts: str) -> None:
    """Write ``name.json`` and ``name.rst``, and print the latter."""
    text = "\n".join([*texts, told(results["machine"])])
    (Folder.path / f"{name}.json").write_text(json.dumps(results, indent=2) + "\n")
    (Folder.path / f"{name}.rst").write_text(text)
    print(text, flush=True)
