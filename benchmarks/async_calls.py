"""Many calls at a time, awaited: of an upstream that takes a second for each answer, side by side with bare httpx2.

All clients run on one event loop in one process and take turns. Meanwhile somebody else's ``asyncio.to_thread()`` does
nothing, again and again, to see whether it has to wait.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import requests
from asgiref.sync import sync_to_async

from benchmarks import databases, plots, report, upstreams

Call = Callable[[], Awaitable[Any]]
BARE = "httpx2.AsyncClient"
FEW, MANY = 100, 1000
TOKEN = f"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.{'x' * 400}.{'y' * 43}"
#: An expiry that is known, and a token that the upstream refuses before it.
PASSED, REFUSED = "its expiry has passed", "it is refused"
_EVERY = 0.01


class Taken(NamedTuple):
    """What so many calls took: seconds by the clock and of processor time, and the longest wait of anybody else."""

    wall: float
    cpu: float
    waited: float
    refreshes: int


class Case(NamedTuple):
    """Who calls, how often at a time, and what is wrong with the token."""

    client: str
    number: int
    token: str = ""

    def __str__(self) -> str:
        return f"{self.client}, {self.token}" if self.token else self.client


CASES = [
    Case(BARE, FEW),
    Case("AsyncUpstreamClient, built once", FEW),
    Case("AsyncUpstreamClient, built per call", FEW),
    Case("AsyncUpstreamClient, built once", FEW, PASSED),
    Case("AsyncUpstreamClient, built once", FEW, REFUSED),
    Case("UpstreamClient.aget", FEW),
    Case("UpstreamClient.aget", FEW, PASSED),
    Case("Authlib's AsyncOAuth2Client", FEW),
    Case("google-auth's AsyncAuthorizedSession", FEW),
    Case(BARE, MANY),
    Case("AsyncUpstreamClient, built once", MANY),
    Case("AsyncUpstreamClient, built per call", MANY),
    Case("AsyncUpstreamClient, built once", MANY, PASSED),
]


def peers(url: str, stack: AsyncExitStack) -> dict[str, Call]:
    """Return a call of each peer: a client that is built once and holds a token which is good for an hour."""
    import httpx2
    from authlib.integrations.httpx_client import AsyncOAuth2Client
    from google.auth.aio.transport.sessions import AsyncAuthorizedSession
    from google.oauth2.credentials import Credentials

    # As many connections as there are calls, and 100 that are kept: those are UpstreamTransport's limits too.
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=100)
    bare = httpx2.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}, limits=limits, timeout=30)
    token = {"access_token": TOKEN, "token_type": "Bearer", "expires_at": time.time() + 3600}
    authlib = AsyncOAuth2Client("client", token=token, limits=limits, timeout=30)
    ends_at = (datetime.now(UTC) + timedelta(hours=1)).replace(tzinfo=None)
    google = AsyncAuthorizedSession(Credentials(TOKEN, expiry=ends_at))
    for close in (bare.aclose, authlib.aclose, google.close):
        stack.push_async_callback(close)

    async def read_google() -> bytes:
        response = await google.get(url)
        return bytes(await response.read())

    return {
        BARE: lambda: bare.get(url),
        "Authlib's AsyncOAuth2Client": lambda: authlib.get(url),
        "google-auth's AsyncAuthorizedSession": read_google,
    }


def ours(path: str, stack: AsyncExitStack) -> dict[str, Call]:
    """Return the calls of an awaited client that is built once, of one per call, and of requests in threads."""
    from jwt_upstream.client import UpstreamClient
    from jwt_upstream.httpx_auth import AsyncUpstreamClient

    once, in_threads = AsyncUpstreamClient("up"), UpstreamClient("up")
    stack.push_async_callback(once.aclose)

    async def per_call() -> Any:
        async with AsyncUpstreamClient("up") as client:
            return await client.get(path)

    return {
        "AsyncUpstreamClient, built once": lambda: once.get(path),
        "AsyncUpstreamClient, built per call": per_call,
        "UpstreamClient.aget": lambda: in_threads.aget(path),
    }


@sync_to_async
def _store(token: str) -> None:
    """Store the token that the next calls begin with."""
    from django.utils import timezone

    from jwt_upstream.client import UpstreamClient
    from jwt_upstream.tokens import TokenPair

    ends_at = timezone.now() + timedelta(hours=-1 if token == PASSED else 1)
    UpstreamClient("up").adopt(TokenPair(f"expired-{time.time_ns()}" if token else TOKEN, "refresh", ends_at))


async def together(call: Call, number: int) -> tuple[float, float, float]:
    """Await so many calls at once; return the seconds, those of the processor, and the longest wait of the other."""
    with _another() as waits:
        began, busy = time.perf_counter(), time.process_time()
        answers = await asyncio.gather(*(call() for _ in range(number)))
        seconds, cpu = time.perf_counter() - began, time.process_time() - busy
        assert all(getattr(answer, "status_code", 200) == 200 for answer in answers)
        await asyncio.sleep(0)
    return seconds, cpu, max(waits)


@contextmanager
def _another() -> Iterator[list[float]]:
    """Have somebody else use asyncio's threads; give the seconds that each use took, the last one's so far."""
    waits: list[float] = []

    async def run() -> None:
        while True:
            began = time.perf_counter()
            try:
                await asyncio.to_thread(int)
            finally:
                waits.append(time.perf_counter() - began)
            await asyncio.sleep(_EVERY)

    task = asyncio.create_task(run())
    try:
        yield waits
    finally:
        task.cancel()


async def measure(url: str, path: str, cases: list[Case], rounds: int) -> dict[Case, list[Taken]]:
    """Take turns: in every round each case is run once."""
    taken: dict[Case, list[Taken]] = {case: [] for case in cases}
    async with AsyncExitStack() as stack:
        stack.push_async_callback(sync_to_async(_disconnect))
        calls = {**peers(f"{url}{path}", stack), **ours(path, stack)}
        for _ in range(rounds + 1):
            for case in cases:
                await _store(case.token)
                if not case.token:
                    await calls[case.client]()  # the token is cached, the library is warm
                before = await _refreshes(url)
                figures = await together(calls[case.client], case.number)
                taken[case].append(Taken(*figures, await _refreshes(url) - before))
    return {case: each[1:] for case, each in taken.items()}  # the first round opens connections


async def _refreshes(url: str) -> int:
    answer = await sync_to_async(requests.get)(f"{url}stats", timeout=10)
    return int(answer.json()["refreshes"])


def _disconnect() -> None:
    from django.db import connections

    connections.close_all()


def summary(taken: dict[Case, list[Taken]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return, by number of calls and client, medians and the ratios to bare httpx2, round by round, of both clocks."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for case, rounds in taken.items():
        pairs = list(zip(rounds, taken[Case(BARE, case.number)], strict=True))
        # A call with an expired token has the refresh to wait for, whoever makes it.
        refresh = upstreams.REFRESH_SECONDS if case.token else 0.0
        found.setdefault(str(case.number), {})[str(case)] = {
            "seconds": statistics.median(each.wall for each in rounds),
            "ratio": statistics.median((each.wall - refresh) / bare.wall for each, bare in pairs),
            "cpu_ratio": statistics.median(each.cpu / bare.cpu for each, bare in pairs),
            "cpu": statistics.median(each.cpu for each in rounds),
            "waited": max(each.waited for each in rounds),
            "refreshes": sorted({each.refreshes for each in rounds}),
        }
    return found


def run(aliases: list[str], url: str, *, is_quick: bool, effort: float) -> None:
    """Measure, and write the results."""
    from django.conf import settings

    alias, seconds = databases.usual(aliases), 0.1 if is_quick else 1.0
    databases.use(alias)
    upstreams.allow_connections()
    backend = {"BACKEND": "jwt_upstream.backends.OAuth2Backend", "BASE_URL": url}
    settings.JWT_UPSTREAM = {
        "up": {**backend, "OPTIONS": {"client_id": "client", "refresh_path": "token", "timeout": 30}}
    }
    cases = [case for case in CASES if case.number == FEW or not is_quick]
    rounds = 1 if is_quick else max(3, int(6 * effort))
    found = summary(asyncio.run(measure(url, f"wait/{seconds}", cases, rounds)))
    about = report.machine([databases.version(alias)])
    texts = [_table(number, seconds, clients) for number, clients in found.items()]
    report.save("async_calls", {"machine": about, "seconds": seconds, "rounds": rounds, "calls": found}, *texts)
    values = {f"{name} ({number})": each["seconds"] for number, both in found.items() for name, each in both.items()}
    plots.bars("async_calls", values, f"seconds for as many calls at a time, of {seconds:g} s each")


def _table(number: str, seconds: float, clients: dict[str, dict[str, Any]]) -> str:
    head = [
        f"{number} calls of {seconds:g} s",
        "Seconds",
        f"Ratio to {BARE}, without the refresh",
        "CPU seconds",
        "Ratio of CPU time",
        "Refreshes",
        "Longest wait of another's to_thread()",
    ]
    rows = [
        [
            f"**{name}**" if "Upstream" in name else name,
            f"{each['seconds']:.2f}",
            f"{each['ratio']:.2f}",
            f"{each['cpu']:.2f}",
            f"{each['cpu_ratio']:.2f}",
            ", ".join(map(str, each["refreshes"])),
            f"{each['waited'] * 1000:.0f} ms",
        ]
        for name, each in clients.items()
    ]
    return report.table(head, rows)
