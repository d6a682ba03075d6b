"""What a call with a valid token costs: one GET over keep-alive on loopback, against requests, httpx2 and the peers.

Awaited calls are made one after the other on an event loop that runs for ten of them at a time.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks import databases, plots, report

Call = Callable[[], Any]
#: Of each call: microseconds by the clock, and of the caller's own processor time.
Times = list[tuple[float, float]]
BARE = "requests.Session"
BARE_HTTPX, BARE_ASYNC = "httpx2.Client", "httpx2.AsyncClient"
#: What sends by httpx2, and what it is compared to besides.
OVER_HTTPX = {
    "httpx2.Client with UpstreamTransport": BARE_HTTPX,
    "httpx2.Client with UpstreamAuth": BARE_HTTPX,
    "AsyncUpstreamClient, built once": BARE_ASYNC,
    "AsyncUpstreamClient, built per call": BARE_ASYNC,
    "Authlib's AsyncOAuth2Client": BARE_ASYNC,
    "google-auth's AsyncAuthorizedSession": BARE_ASYNC,
}
AT_A_TIME = 10
TOKEN = f"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.{'x' * 400}.{'y' * 43}"


def peers(base_url: str) -> dict[str, Call]:
    """Return a call of each peer: a session that is built once and holds a token which is good for an hour."""
    import httpx
    import httpx2
    import requests
    from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
    from google.auth.transport.requests import AuthorizedSession
    from google.oauth2.credentials import Credentials
    from requests_oauth2client import BearerToken, OAuth2AccessTokenAuth, OAuth2Client
    from requests_oauthlib import OAuth2Session

    url = f"{base_url}orders/1"
    token = {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600, "expires_at": time.time() + 3600}
    ends_at = (datetime.now(UTC) + timedelta(hours=1)).replace(tzinfo=None)
    oauthlib = OAuth2Session("client", token=token)
    authlib = AuthlibSession("client", token=token)
    google = AuthorizedSession(Credentials(TOKEN, expiry=ends_at))
    header = {"Authorization": f"Bearer {TOKEN}"}
    client, client2 = httpx.Client(headers=header), httpx2.Client(headers=header, base_url=base_url)
    oauth2client = requests.Session()
    bearer = BearerToken(TOKEN, expires_in=3600, refresh_token="refresh")
    oauth2client.auth = OAuth2AccessTokenAuth(OAuth2Client("https://127.0.0.1/token", client_id="client"), bearer)
    return {
        BARE: bare(url),
        "httpx.Client": lambda: client.get(url).content,
        BARE_HTTPX: lambda: client2.get("orders/1").content,
        "requests-oauth2client": lambda: oauth2client.get(url).content,
        "requests-oauthlib": lambda: oauthlib.get(url).content,
        "Authlib": lambda: authlib.get(url).content,
        "google-auth": lambda: google.get(url).content,
    }


def bare(url: str) -> Call:
    """Return a call of a session of requests with a static header."""
    import requests

    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {TOKEN}"
    return lambda: session.get(url).content


def configure(url: str) -> None:
    """Have the upstream "up" at a URL."""
    from django.conf import settings

    settings.JWT_UPSTREAM = {"up": {"BACKEND": "jwt_upstream.backends.OAuth2Backend", "BASE_URL": url}}


async def awaited_peers(url: str, stack: AsyncExitStack) -> dict[str, Call]:
    """Do as ``peers``, for what is awaited and is closed with the stack."""
    import httpx2
    from authlib.integrations.httpx_client import AsyncOAuth2Client
    from google.auth.aio.transport.sessions import AsyncAuthorizedSession
    from google.oauth2.credentials import Credentials

    ends_at = (datetime.now(UTC) + timedelta(hours=1)).replace(tzinfo=None)
    bare = httpx2.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}, base_url=url)
    token = {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600}
    authlib = AsyncOAuth2Client("client", token=token, base_url=url)
    google = AsyncAuthorizedSession(Credentials(TOKEN, expiry=ends_at))
    for close in (bare.aclose, authlib.aclose, google.close):
        stack.push_async_callback(close)

    async def get(client: Any) -> bytes:
        return bytes((await client.get("orders/1")).content)

    async def get_google() -> bytes:
        return bytes(await (await google.get(f"{url}orders/1")).read())

    return {
        BARE_ASYNC: _awaited(get, bare),
        "Authlib's AsyncOAuth2Client": _awaited(get, authlib),
        "google-auth's AsyncAuthorizedSession": get_google,
    }


def _awaited(get: Callable[..., Awaitable[Any]], *args: Any) -> Call:
    async def call() -> Any:
        return await get(*args)

    return call


def over_httpx(url: str) -> dict[str, Call]:
    """Return the calls of httpx2's client with our transport and our ``auth=``, and those of the awaited client."""
    import httpx2

    from jwt_upstream.httpx_auth import AsyncUpstreamClient, UpstreamAuth, UpstreamTransport

    by_transport = httpx2.Client(transport=UpstreamTransport("up"), base_url=url)
    by_auth, once = httpx2.Client(auth=UpstreamAuth("up"), base_url=url), AsyncUpstreamClient("up")

    async def awaited_once() -> bytes:
        return (await once.get("orders/1")).content

    async def awaited_per_call() -> bytes:
        async with AsyncUpstreamClient("up") as client:
            return (await client.get("orders/1")).content

    return {
        "httpx2.Client with UpstreamTransport": lambda: by_transport.get("orders/1").content,
        "httpx2.Client with UpstreamAuth": lambda: by_auth.get("orders/1").content,
        "AsyncUpstreamClient, built once": awaited_once,
        "AsyncUpstreamClient, built per call": awaited_per_call,
    }


def ours(alias: str) -> dict[str, Call]:
    """Return the calls of a client that is built once, of one that is built per call, and of one that must look."""
    from jwt_upstream.client import UpstreamClient
    from jwt_upstream.refresh.token_cache import token_cache

    once = UpstreamClient("up")

    def looking() -> Any:
        token_cache().invalidate_all()  # as after an event of the account's own
        return UpstreamClient("up").get("orders/1").content

    def on(call: Call) -> Call:
        def run() -> Any:
            databases.use(alias)
            return call()

        return run

    name = databases.NAMES[alias]
    return {
        f"UpstreamClient, built once ({name})": on(lambda: once.get("orders/1").content),
        f"UpstreamClient, built per call ({name})": on(lambda: UpstreamClient("up").get("orders/1").content),
        f"UpstreamClient, empty token cache ({name})": on(looking),
    }


def measure(calls: dict[str, Call], rounds: int, number: int, loop: asyncio.Runner) -> dict[str, list[Times]]:
    """Take turns: in every round each makes ``number`` calls; return the times of each round's calls."""
    taken: dict[str, list[Times]] = {name: [] for name in calls}
    for _ in range(rounds + 1):
        for name, call in calls.items():
            if inspect.iscoroutinefunction(call):
                taken[name].append(loop.run(_times_awaited(call, number)))
            else:
                taken[name].append([_timed(call) for _ in range(number)])
    gc.collect()
    return {name: times[1:] for name, times in taken.items()}


async def _times_awaited(call: Call, number: int) -> Times:
    times = []
    for _ in range(number):
        started, busy = time.perf_counter(), time.thread_time()
        await call()
        times.append(((time.perf_counter() - started) * 1e6, (time.thread_time() - busy) * 1e6))
    return times


def _timed(call: Call) -> tuple[float, float]:
    started, busy = time.perf_counter(), time.thread_time()
    call()
    return (time.perf_counter() - started) * 1e6, (time.thread_time() - busy) * 1e6


def summary(taken: dict[str, list[Times]]) -> dict[str, dict[str, float]]:
    """Return each one's median and quartiles in µs, and its ratio to requests, round by round, of both clocks."""
    found = {}
    for name, rounds in taken.items():
        low, middle, high = statistics.quantiles([wall for times in rounds for wall, _ in times], n=4)
        found[name] = {"median": middle, "low": low, "high": high, **_ratios(rounds, taken[BARE])}
    return found


def _ratios(rounds: list[Times], others: list[Times]) -> dict[str, float]:
    figures: dict[str, float] = {}
    for at, clock in enumerate(("ratio", "cpu_ratio")):
        ratios = [_median(times, at) / _median(other, at) for times, other in zip(rounds, others, strict=True)]
        figures |= dict(zip((f"{clock}_low", clock, f"{clock}_high"), statistics.quantiles(ratios, n=4), strict=True))
    return figures


def _median(times: Times, at: int) -> float:
    return statistics.median(both[at] for both in times)


def queries(call: Call, alias: str) -> int:
    """Count the queries of one call."""
    from django.db import connections
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connections[alias]) as captured:
        call()
    return len(captured)


def run(aliases: list[str], url: str, *, rounds: int) -> None:
    """Measure, and write the results."""
    from jwt_upstream.testing import logged_in

    os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
    configure(url)
    closing = AsyncExitStack()
    with asyncio.Runner() as loop:
        calls = {**peers(url), **loop.run(awaited_peers(url, closing)), **over_httpx(url)}
        asked: dict[str, int] = {}
        for alias in aliases:
            databases.use(alias)
            logged_in("up", access=TOKEN)
            for name, call in ours(alias).items():
                calls[name] = call
                call()
                asked[name] = queries(call, alias)
        about = report.machine([databases.version(alias) for alias in aliases])
        taken = measure(calls, rounds, AT_A_TIME, loop)
        loop.run(closing.aclose())
    found = summary(taken)
    httpx = {name: {"to": bare, **_ratios(taken[name], taken[bare])} for name, bare in OVER_HTTPX.items()}
    results = {"machine": about, "calls": found, "over_httpx": httpx}
    report.save("hot_path", results, _table(found, asked), _table_over_httpx(httpx))
    ratios = {name: figures["ratio"] for name, figures in found.items()}
    plots.bars("hot_path", ratios, f"time of a GET with a valid token; {BARE} = 1")


def _table(found: dict[str, dict[str, float]], asked: dict[str, int]) -> str:
    rows = [
        [
            f"**{name}**" if "Upstream" in name else name,
            f"{figures['median']:.0f} ({figures['low']:.0f} to {figures['high']:.0f})",
            f"{figures['ratio']:.2f} ({figures['ratio_low']:.2f} to {figures['ratio_high']:.2f})",
            f"{figures['cpu_ratio']:.2f}",
            asked.get(name, ""),
        ]
        for name, figures in sorted(found.items(), key=lambda item: item[1]["ratio"])
    ]
    head = ["One GET", "µs: median (quartiles)", f"Ratio to {BARE} (quartiles)", "Ratio of CPU time", "Queries"]
    return report.table(head, rows)


def _table_over_httpx(found: dict[str, dict[str, Any]]) -> str:
    rows = [
        [
            f"**{name}**" if "Upstream" in name else name,
            figures["to"],
            f"{figures['ratio']:.2f} ({figures['ratio_low']:.2f} to {figures['ratio_high']:.2f})",
            f"{figures['cpu_ratio']:.2f} ({figures['cpu_ratio_low']:.2f} to {figures['cpu_ratio_high']:.2f})",
        ]
        for name, figures in found.items()
    ]
    return report.table(["One GET", "Compared to", "Ratio (quartiles)", "Ratio of CPU time (quartiles)"], rows)
