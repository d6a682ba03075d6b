"""What a cached token is worth among 10 000 accounts: while others log in and are refreshed, and called in turn.

Tokens are cached for longer than the run takes, so that nothing but an event or the size of the cache ends them.
"""

from __future__ import annotations

import itertools
import select
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from benchmarks import background_refresh, databases, plots, profile, report, scale
from benchmarks.hot_path import Call

ACCOUNTS = 10_000
RATE = 50
SECONDS = 1.0
#: Of each call: microseconds by the clock and of its processor time, and its queries.
Block = list[tuple[float, float, int]]
QUIET, HERE, ELSEWHERE = "nothing happens", "events in this process", "events in another process"
#: What has no cache, no account and no settings, and takes about as long: what it loses, the machine does to any call.
CONTROL = "requests' adapter alone, without the app"
_SAMPLE, _IN_TURN = 500, 2_000
_CALLS = 20


class Events:
    """Refreshes of other accounts and logins of new ones, by turns."""

    def __init__(self, first: int, size: int, step: int = 2) -> None:
        self._numbers = itertools.cycle(range(first, size, step))
        self._run = time.time_ns()
        self.count = 0

    def one(self) -> None:
        """Make one happen."""
        from jwt_upstream.client import UpstreamClient

        number = next(self._numbers)
        self.count += 1
        if self.count % 2:
            UpstreamClient(f"up{number % scale.UPSTREAMS}", str(number)).refresh()
        else:
            account = f"new {self._run} {number} {self.count}"
            UpstreamClient(f"up{number % scale.UPSTREAMS}", account).login(username="u", password="p")


class Elsewhere:
    """The process in which events happen; told on its standard input when to go on and when to stop."""

    def __init__(self, url: str, size: int) -> None:
        command = [sys.executable, "-m", "benchmarks.token_cache", url, str(size)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, env=databases.environment(), stdin=pipe, stdout=pipe, text=True, bufsize=1
        )
        self._tell("ready")

    def _tell(self, expected: str = "") -> str:
        assert self._process.stdout is not None
        said = self._process.stdout.readline().strip()
        assert said == expected or not expected, said
        return said

    def go(self) -> None:
        """Let events happen."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")

    def stop(self) -> int:
        """Let no more happen, and return how many there were."""
        assert self._process.stdin is not None
        self._process.stdin.write("stop\n")
        return int(self._tell())

    def end(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)


class Queries:
    """Counts the queries of this thread."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, execute: Callable[..., Any], *args: Any) -> Any:
        """Be called in the place of ``execute``."""
        self.count += 1
        return execute(*args)


@contextmanager
def counting(alias: str) -> Iterator[Queries]:
    """Give a count of the queries to a database."""
    from django.db import connections

    queries = Queries()
    with connections[alias].execute_wrapper(queries):
        yield queries


def one_call(number: int) -> Any:
    """Call as one of the accounts, with a client that is built for the call."""
    from jwt_upstream.client import UpstreamClient

    return UpstreamClient(f"up{number % scale.UPSTREAMS}", str(number)).get("orders/1").content


def timed(call: Call, queries: Queries) -> tuple[float, float, int]:
    """Return the microseconds of a call by the clock and of its processor time, and its queries."""
    before, began, busy = queries.count, time.perf_counter(), time.thread_time()
    call()
    wall, cpu = (time.perf_counter() - began) * 1e6, (time.thread_time() - busy) * 1e6
    return wall, cpu, queries.count - before


def block(call: Call, queries: Queries, seconds: float, tick: Callable[[], Any]) -> Block:
    """Return the times of calls; ticks come between them, so no call waits for Python's lock."""
    taken, due, end = [], time.perf_counter(), time.perf_counter() + seconds
    while (now := time.perf_counter()) < end:
        if now >= due:
            due += 1 / RATE
            tick()
        taken += [timed(call, queries) for _ in range(_CALLS)]
    return taken


def among_events(
    calls: dict[str, Call], alias: str, url: str, size: int, rounds: int, seconds: float
) -> dict[str, dict[str, dict[str, float]]]:
    """Return what each of the calls takes while nothing happens, and with events to other accounts, by turns."""
    here, elsewhere = Events(1, size), Elsewhere(url, size)
    # A processor is slow at first after any pause, so instead of an event there is a pause that is as long.
    pause = partial(time.sleep, statistics.median(_seconds(here.one) for _ in range(11)))
    here.count = counted = 0
    blocks: dict[str, dict[str, list[Block]]] = {name: {QUIET: [], HERE: [], ELSEWHERE: []} for name in calls}
    with counting(alias) as queries:
        for _ in range(rounds):
            for name, call in calls.items():
                blocks[name][QUIET].append(block(call, queries, seconds, pause))
                blocks[name][HERE].append(block(call, queries, seconds, here.one))
            elsewhere.go()
            for name, call in calls.items():
                blocks[name][ELSEWHERE].append(block(call, queries, seconds, pause))
            counted += elsewhere.stop()
    elsewhere.end()
    rates = {QUIET: 0.0, HERE: here.count, ELSEWHERE: counted}
    return {
        name: {kind: _figures(each[kind], each[QUIET], rates[kind] / rounds / seconds / len(calls)) for kind in each}
        for name, each in blocks.items()
    }


def _seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _figures(blocks: list[Block], quiet: list[Block], rate: float) -> dict[str, float]:
    calls = [call for each in blocks for call in each]
    found: dict[str, float] = {"calls": len(calls), "rate": rate, "queries": sum(call[2] for call in calls)}
    found["median"] = statistics.median(call[0] for call in calls)
    pairs = list(zip(blocks, quiet, strict=True))
    found["more"] = statistics.median(median(each, 0) - median(other, 0) for each, other in pairs)
    for at, clock in enumerate(("ratio", "cpu_ratio")):
        found[clock] = statistics.median(median(each, at) / median(other, at) for each, other in pairs)
    return found


def median(calls: Block, at: int) -> float:
    """Return the median of what ``timed`` returned, by the clock (0) or of processor time (1)."""
    return statistics.median(call[at] for call in calls)


def cache_all(size: int) -> None:
    """Have the process read the token of each account."""
    from jwt_upstream.client import UpstreamClient

    for number in range(size):
        UpstreamClient(f"up{number % scale.UPSTREAMS}", str(number)).token()


def in_turn(alias: str, size: int, entries: int) -> dict[str, float]:
    """Return what a call takes when accounts are called in turn for the second time."""
    from django.conf import settings

    from jwt_upstream.refresh.token_cache import token_cache

    settings.JWT_UPSTREAM_CACHE_ENTRIES = entries
    token_cache().invalidate_all()
    cache_all(size)
    with counting(alias) as queries:
        calls = [timed(partial(one_call, number), queries) for number in range(min(size, _IN_TURN))]
    return {
        "median": median(calls, 0),
        "cpu": median(calls, 1),
        "queries": sum(call[2] for call in calls) / len(calls),
        "cached": len(token_cache()._tokens),
    }


def memory(size: int) -> float:
    """Return the bytes that an account takes in the cache."""
    from jwt_upstream.refresh.token_cache import token_cache

    number = min(_SAMPLE, size)
    token_cache()._tokens.clear()
    tracemalloc.start()
    cache_all(number)
    with_them = tracemalloc.get_traced_memory()[0]
    token_cache()._tokens.clear()
    used = with_them - tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return used / number


def run(aliases: list[str], url: str, *, is_quick: bool, effort: float) -> None:
    """Measure, and write the results."""
    from django.test import override_settings

    alias = databases.usual(aliases)
    databases.use(alias)
    scale.configure(url)
    size, rounds, seconds = (200, 2, 0.2) if is_quick else (ACCOUNTS, max(3, int(20 * effort)), SECONDS)
    about = report.machine([databases.version(alias)])
    with override_settings(JWT_UPSTREAM_CACHE_SECONDS=3600.0):
        background_refresh.fill(alias, size, f"cache-{time.time_ns()}", seconds=7200)
        used = memory(size)
        # The larger one last, with which all of them are cached when events begin.
        sizes = {str(entries): in_turn(alias, size, entries) for entries in [size // 10, size]}
        one = f"One of {size} accounts is called"
        calls: dict[str, Call] = {one: partial(one_call, 0), CONTROL: profile.adapter_alone(f"{url}orders/1")}
        among = among_events(calls, alias, url, size, rounds, seconds)
    results = {"machine": about, "accounts": size, "bytes": used, "in_turn": sizes, "among_events": among}
    report.save("token_cache", results, *(_table(*each) for each in among.items()), _sizes(size, sizes, used))
    events = among[one]
    quiet = events[QUIET]["median"]
    values = {f"one account, {name}": each["median"] / quiet for name, each in events.items()}
    values |= {f"in turn, {entries} cached": each["median"] / quiet for entries, each in sizes.items()}
    plots.bars("token_cache", values, f"time of a GET among {size} accounts; one account, {QUIET} = 1", bool)


def _table(what: str, events: dict[str, dict[str, float]]) -> str:
    head = [
        what,
        "Events a second",
        "Calls",
        "Queries of all of them",
        "µs: median",
        "µs more than when nothing happens",
        "Ratio",
        "Ratio of CPU time",
    ]
    rows = [
        [
            name,
            f"{each['rate']:.0f}",
            f"{each['calls']:.0f}",
            f"{each['queries']:.0f}",
            f"{each['median']:.0f}",
            f"{each['more']:+.0f}",
            f"{each['ratio']:.2f}",
            f"{each['cpu_ratio']:.2f}",
        ]
        for name, each in events.items()
    ]
    return report.table(head, rows)


def _sizes(size: int, sizes: dict[str, dict[str, float]], used: float) -> str:
    head = [
        f"{size} accounts are called in turn, the second time",
        "Cached at the end",
        "Queries of a call",
        "µs: median",
        "CPU µs: median",
    ]
    rows = [
        [
            f"``JWT_UPSTREAM_CACHE_ENTRIES = {entries}``",
            f"{each['cached']:.0f}",
            f"{each['queries']:.2f}",
            f"{each['median']:.0f}",
            f"{each['cpu']:.0f}",
        ]
        for entries, each in sizes.items()
    ]
    told = f"A cached account takes {used / 1024:.1f} KiB of a process, its access token of 250 characters included.\n"
    return f"{report.table(head, rows)}\n{told}"


def main() -> None:
    """Be the other process: make events happen from "go" to "stop", and say how many there were."""
    import django

    django.setup()
    scale.configure(sys.argv[1])
    events = Events(2, int(sys.argv[2]))
    print("ready", flush=True)
    while sys.stdin.readline():
        events.count, began = 0, time.perf_counter()
        while not select.select([sys.stdin], [], [], max(0.0, began + events.count / RATE - time.perf_counter()))[0]:
            events.one()
        sys.stdin.readline()
        print(events.count, flush=True)


if __name__ == "__main__":
    main()
