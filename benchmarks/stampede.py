"""What workers make of an expired token: calls lost, and refreshes counted by an upstream that rotates tokens.

Tests of 4 processes with 8 threads each: all call at the same moment, the token having expired (stampede); all call
again and again, the tokens living for 2 seconds (steady state). A refresh token that is used twice revokes them all,
as RFC 9700, section 4.14.2 recommends: from then on every call is lost until a person logs in. The steady state is run
at a lenient upstream too, which only refuses such a token.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import timedelta
from typing import Any

import requests

from benchmarks import databases, peers, report

PROCESSES, THREADS = 4, 8
#: Lifetime of tokens, what is left of the first one, whether reuse revokes, and how long calls go on, in seconds.
TESTS: dict[str, tuple[float, float, bool, float]] = {
    "Stampede: all call once, the token having expired": (3600.0, -1.0, True, 0.0),
    "Steady state: tokens of 2 s": (2.0, 2.0, True, 10.0),
    "Steady state at a lenient upstream: tokens of 2 s, reuse revokes nothing": (2.0, 2.0, False, 10.0),
}


def work(name: str, url: str, seconds: float) -> Counter[str]:
    """Call from several threads for so long; count the outcomes. Runs in a process of its own."""
    from django.db import connections

    call, outcomes, end = peers.ALL[name](url), Counter[str](), time.time() + seconds

    def run() -> None:
        try:
            while True:
                try:
                    status = call()
                    outcomes["ok" if status == 200 else f"HTTP {status}"] += 1
                except Exception as error:
                    outcomes[type(error).__name__] += 1
                if time.time() >= end:
                    return
                time.sleep(0.05)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def together(name: str, url: str, seconds: float) -> Counter[str]:
    """Let all processes begin at the same moment; return what all counted."""
    command = [sys.executable, "-m", "benchmarks.stampede", name, url, str(seconds)]
    environment = databases.environment()
    pipe = subprocess.PIPE
    workers = [
        subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) for _ in range(PROCESSES)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    counted: Counter[str] = Counter()
    for worker in workers:
        counted.update(json.loads(worker.communicate(timeout=120)[0].splitlines()[-1]))
    return counted


def begin(url: str, lifetime: float, left: float, detects: bool) -> None:
    """Give the upstream and the database a new pair."""
    from django.conf import settings
    from django.utils import timezone

    from jwt_upstream.client import UpstreamClient
    from jwt_upstream.tokens import TokenPair

    fields = {"lifetime": lifetime, "left": left, "detects": int(detects)}
    token = requests.post(f"{url}reset", data=fields, timeout=10).json()
    peers.create({**token, "expires_at": time.time() + left})
    settings.JWT_UPSTREAM = {"up": {"BACKEND": "jwt_upstream.backends.OAuth2Backend", "BASE_URL": url}}
    ends_at = timezone.now() + timedelta(seconds=left)
    UpstreamClient("up").adopt(TokenPair(token["access_token"], token["refresh_token"], ends_at))


def one(name: str, url: str, lifetime: float, left: float, detects: bool, seconds: float) -> dict[str, Any]:
    """Run one test of one peer; return what was counted on both sides."""
    begin(url, lifetime, left, detects)
    outcomes = together(name, url, seconds)
    calls = sum(outcomes.values())
    errors = {outcome: number for outcome, number in outcomes.most_common() if outcome != "ok"}
    told = requests.get(f"{url}stats", timeout=10).json()
    return {"calls": calls, "lost": calls - outcomes["ok"], "errors": errors, **told}


def run(aliases: list[str], url: str, *, is_quick: bool, effort: float) -> None:
    """Measure, and write the results."""
    results: dict[str, Any] = {"machine": report.machine([databases.version(alias) for alias in aliases])}
    names = list(peers.ALL)[: 2 if is_quick else None]
    shared = databases.usual(aliases)
    for test, (lifetime, left, detects, seconds) in list(TESTS.items())[: 1 if is_quick else None]:
        found = results[test] = {}
        for alias in [shared] if is_quick else aliases:
            databases.use(alias)
            # What the peers lose is no matter of the database; the most usual one shows it.
            for name in names if alias == shared else names[:1]:
                found[f"{name} ({databases.NAMES[alias]})"] = one(name, url, lifetime, left, detects, seconds * effort)
    report.save("stampede", results, *(_table(found, test) for test, found in results.items() if test in TESTS))


def _table(found: dict[str, dict[str, Any]], title: str) -> str:
    rows = [
        [
            f"**{name}**" if name.startswith("UpstreamClient") else name,
            counted["calls"],
            f"{counted['lost']} ({counted['lost'] / counted['calls']:.0%})",
            counted["refreshes"],
            counted["refused"],
            ", ".join(f"{number} {error}" for error, number in counted["errors"].items()) or "none",
        ]
        for name, counted in found.items()
    ]
    head = ["Client", "Calls", "Lost", "Refresh requests", "of which refused", "What callers got instead"]
    return f"**{title}**\n\n{report.table(head, rows)}"


def main() -> None:
    """Be one of the processes."""
    import django

    django.setup()
    name, url, seconds = sys.argv[1:]
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(work(name, url, float(seconds))))


if __name__ == "__main__":
    main()
