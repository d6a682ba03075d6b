"""How many credentials a second the background refresh renews, by one worker and by several, and none of them twice.

All are due at the same moment, at ten upstreams that are one server on this machine, which answers at once and counts
how often each refresh token is shown. The workers are processes of their own, as hosts would be, which know nothing of
each other; they share this machine's cores with the database and the upstream.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import timedelta
from typing import Any

import requests

from benchmarks import databases, report, scale

WORKERS = [1, 2, 4]
_AT_ONCE = 1000


def fill(alias: str, size: int, run: str, seconds: float = 30) -> None:
    """Have the table hold so many credentials, which are good for so long, each with a refresh token of its own."""
    from django.utils import timezone

    from jwt_upstream.models import Credential, Event

    Event.objects.using(alias).all()._raw_delete(alias)
    Credential.objects.using(alias).all()._raw_delete(alias)
    now = timezone.now()
    for first in range(0, size, _AT_ONCE):
        rows = []
        for number in range(first, min(first + _AT_ONCE, size)):
            row = Credential(
                upstream=f"up{number % scale.UPSTREAMS}", account=str(number), state="active", generation=1
            )
            row.obtained_at = now - timedelta(hours=1)
            row.access_expires_at = now + timedelta(seconds=seconds - number / size)
            row.access_token = row.seal("access_token", f"eyJ.{'a' * 250}.sig")
            row.refresh_token = row.seal("refresh_token", f"{run}-{number}-{'r' * 40}")
            rows.append(row)
        Credential.objects.using(alias).bulk_create(rows)


def together(url: str, workers: int, number: int) -> dict[str, Any]:
    """Have so many workers refresh a number of what is due; return the seconds that it took and what they counted."""
    environment = databases.environment()
    command = [sys.executable, "-m", "benchmarks.background_refresh", url, str(number // workers)]
    pipe = subprocess.PIPE
    started = [subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) for _ in range(workers)]
    for worker in started:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    began = time.perf_counter()
    for worker in started:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    told = [json.loads(worker.communicate(timeout=3600)[0].splitlines()[-1]) for worker in started]
    seconds = time.perf_counter() - began
    each = [counted["refreshed"] for counted in told]
    cpu = sum(counted["cpu"] for counted in told)
    return {"seconds": seconds, "each": each, "failed": sum(counted["failed"] for counted in told), "cpu": cpu}


def measure(alias: str, url: str, size: int, number: int, workers: int) -> dict[str, Any]:
    """Return what so many workers have done, as they and the upstream have counted it."""
    fill(alias, size, f"{alias}-{workers}-{time.time_ns()}")
    before = requests.get(f"{url}stats", timeout=10).json()
    found = together(url, workers, number)
    after = requests.get(f"{url}stats", timeout=10).json()
    counted = {name: after[name] - before[name] for name in after}
    assert (sum(found["each"]), counted["refreshes"]) == (number, number), (found, counted)
    return {**found, **counted, "per_second": number / found["seconds"], "cpu_ms": found["cpu"] / number * 1000}


def main() -> None:
    """Be one of the workers."""
    import django

    django.setup()

    from jwt_upstream.background import refresh_due

    scale.configure(sys.argv[1])
    print("ready", flush=True)
    sys.stdin.readline()
    before, left, failed = time.process_time(), int(sys.argv[2]), 0
    while left:
        # A round ends where others hold all that is left; with --every the next one would look again.
        result = refresh_due(seconds=3600, limit=left)
        left, failed = left - result.refreshed, failed + result.failed + result.need_human
        if not result.refreshed:
            break
    cpu = time.process_time() - before
    print(json.dumps({"refreshed": int(sys.argv[2]) - left, "failed": failed, "cpu": cpu}))


def run(aliases: list[str], url: str, *, size: int, most: int) -> None:
    """Measure, and write the results; of what is due, ``most`` are refreshed at most."""
    scale.configure(url)
    results: dict[str, Any] = {"machine": report.machine([databases.version(alias) for alias in aliases])}
    texts = []
    for alias in aliases:
        databases.use(alias)
        due = size if alias == "postgresql" else max(size // 10, 200)
        number = min(due, most) // max(WORKERS) * max(WORKERS)
        found = results[alias] = {workers: measure(alias, url, due, number, workers) for workers in WORKERS}
        texts.append(_table(f"{databases.NAMES[alias]}, {number} of {due} due", found))
    report.save("background_refresh", results, *texts)


def _table(title: str, found: dict[int, dict[str, Any]]) -> str:
    head = [title, "Seconds", "Per second", "Each worker", "CPU of a refresh", "Tokens shown twice"]
    rows = [
        [
            f"{workers} worker{'s' * (workers > 1)}",
            f"{counted['seconds']:.1f}",
            f"**{counted['per_second']:.0f}**",
            ", ".join(map(str, counted["each"])),
            f"{counted['cpu_ms']:.1f} ms",
            counted["twice"],
        ]
        for workers, counted in found.items()
    ]
    return report.table(head, rows)


if __name__ == "__main__":
    main()
