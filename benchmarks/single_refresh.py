"""What one refresh takes beyond the upstream's own time, where they follow each other and where they are rare.

The upstream is a server on this machine that answers at once. Its own time is that of the same ``POST`` by a
``requests.Session`` over a keep-alive connection. A refresh is everything that its caller waits for: thread and
connection of its own, look, lease, call and settle. Where refreshes are rare, nothing is left of the one before.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import requests

from benchmarks import databases, report, scale

#: More than anything is kept.
_RARE_SECONDS = 3.5


def run(aliases: list[str], url: str, *, number: int, rare: int) -> None:
    """Measure so many refreshes on each database, and write the results."""
    scale.configure(url)
    results: dict[str, Any] = {"machine": report.machine([databases.version(alias) for alias in aliases])}
    own = results["upstream"] = _times(_post(url), max(number, 20))
    head = ["", "Refresh", "Beyond the upstream", "Processor time", "After a pause"]
    rows = []
    for alias in aliases:
        found = results[alias] = measure(alias, number, rare)
        rows.append([databases.NAMES[alias], *(f"{found[name] - own:.1f} ms" for name in ("often", "rare"))])
        rows[-1][1:1] = [f"{found['often']:.1f} ms"]
        rows[-1][3:3] = [f"{found['cpu']:.1f} ms"]
        rows[-1][2] = f"**{rows[-1][2]}**"
    told = f"Medians of {number} refreshes ({rare} after a pause); the upstream's own time is {own:.1f} ms.\n"
    report.save("single_refresh", results, report.table(head, rows), told)


def measure(alias: str, number: int, rare: int) -> dict[str, float]:
    """Return the median times in milliseconds: of refreshes one after the other, and each after a pause."""
    from jwt_upstream.client import UpstreamClient
    from jwt_upstream.tokens import TokenPair

    databases.use(alias)
    client = UpstreamClient("up0", "single")
    client.adopt(TokenPair("a", "r"))
    _times(client.refresh, 5)
    before = time.process_time()
    often = _times(client.refresh, number)
    cpu = (time.process_time() - before) / number * 1000
    return {"often": often, "cpu": cpu, "rare": _times(client.refresh, rare, _RARE_SECONDS)}


def _post(url: str) -> Callable[[], Any]:
    session, body = requests.Session(), {"grant_type": "refresh_token", "refresh_token": "r" * 64}
    return lambda: session.post(f"{url}token", data=body)


def _times(work: Callable[[], Any], number: int, pause: float = 0.0) -> float:
    taken = []
    for _ in range(number):
        time.sleep(pause)  # as long as between two refreshes that need new connections, if one is given
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1000
