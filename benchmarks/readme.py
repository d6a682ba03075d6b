"""The README's figures, taken from the last results, so that nobody copies them by hand."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import Any

from benchmarks.report import RESULTS
from benchmarks.stampede import PROCESSES

README = Path(__file__).parent.parent / "README.rst"
_BETWEEN = re.compile(r"(?<=\.\. what make bench measured\n\n).*?(?=\n\.\. until here)", re.DOTALL)


def write() -> None:
    """Put the figures between the README's two comments."""
    text = "\n".join(textwrap.wrap(_told(), 119, break_on_hyphens=False)) + "\n"
    README.write_text(_BETWEEN.sub(lambda _: text, README.read_text()))


def _told() -> str:
    calls, stampede, scale = _read("hot_path")["calls"], _read("stampede"), _read("scale")
    name = "PostgreSQL" if "postgresql" in scale else "SQLite"
    once = calls[f"UpstreamClient, built once ({name})"]["ratio"]
    per_call = calls[f"UpstreamClient, built per call ({name})"]["ratio"]
    test = next(iter(value for key, value in stampede.items() if key.startswith("Stampede")))
    ours, by_hand = test[f"UpstreamClient ({name})"], test[f"requests and a 401 retry by hand ({name})"]
    return (
        f"On {name}, ``make bench`` measured: a ``GET`` with a valid token takes {once:.2f} of the time that it takes "
        f"a bare ``requests.Session`` with a static header, {per_call:.2f} with a client that is built for each call, "
        f"and no query. Of {ours['calls']} callers in {PROCESSES} processes that met an expired token at an upstream "
        f"with rotation and reuse detection, {ours['lost']} were lost, with {ours['refreshes']} refresh; with the "
        f"usual 401 retry by hand {by_hand['lost']} of {by_hand['calls']}. "
        "All tables, with machine and versions, are in ``docs/explanation/benchmarks.rst``."
    )


def _read(name: str) -> dict[str, Any]:
    results: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return results
