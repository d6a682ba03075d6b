"""What a call with a valid token costs: one GET over keep-alive on loopback, against requests and the peers."""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks import databases, plots, report

Call = Callable[[], Any]
#: Of each call: microseconds by the clock, and of the caller's own processor time.
Times = list[tuple[float, float]]
BARE = "requests.Session"
AT_A_TIME = 10
TOKEN = f"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.{'x' * 400}.{'y' * 43}"


def peers(url: str) -> dict[str, Call]:
    """Return a call of each peer: a session that is built once and holds a token which is good for an hour."""
    import httpx
    import requests
    from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
    from google.auth.transport.requests import AuthorizedSession
    from google.oauth2.credentials import Credentials
    from requests_oauthlib import OAuth2Session

    token = {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600, "expires_at": time.time() + 3600}
    ends_at = (datetime.now(UTC) + timedelta(hours=1)).replace(tzinfo=None)
    header = {"Authorization": f"Bearer {TOKEN}"}
    bare, oauthlib = requests.Session(), OAuth2Session("client", token=token)
    bare.headers.update(header)
    authlib = AuthlibSession("client", token=token)
    google = AuthorizedSession(Credentials(TOKEN, expiry=ends_at))
    client = httpx.Client(headers=header)
    return {
        BARE: lambda: bare.get(url).content,
        "httpx.Client": lambda: client.get(url).content,
        "requests-oauthlib": lambda: oauthlib.get(url).content,
        "Authlib": lambda: authlib.get(url).content,
        "google-auth": lambda: google.get(url).content,
    }


def ours(alias: str) -> dict[str, Call]:
    """Return the calls of a client that is built once, of one that is built per call, and of one that must look."""
    from jwt_upstream.client import UpstreamClient
    from jwt_upstream.refresh.token_cache import token_cache

    once = UpstreamClient("up")

    def looking() -> Any:
        token_cache().invalidate()  # as after any event in this process
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


def measure(calls: dict[str, Call], rounds: int, number: int) -> dict[str, list[Times]]:
    """Take turns: in every round each makes ``number`` calls; return the times of each round's calls."""
    for call in calls.values():
        for _ in range(number):
            call()
    taken: dict[str, list[Times]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            taken[name].append([_timed(call) for _ in range(number)])
    gc.collect()
    return taken


def _timed(call: Call) -> tuple[float, float]:
    started, busy = time.perf_counter(), time.thread_time()
    call()
    return (time.perf_counter() - started) * 1e6, (time.thread_time() - busy) * 1e6


def summary(taken: dict[str, list[Times]]) -> dict[str, dict[str, float]]:
    """Return each one's median and quartiles in µs, and its ratio to requests, round by round, of both clocks."""
    found = {}
    for name, rounds in taken.items():
        low, middle, high = statistics.quantiles([wall for times in rounds for wall, _ in times], n=4)
        figures = {"median": middle, "low": low, "high": high}
        for at, clock in enumerate(("ratio", "cpu_ratio")):
            pairs = zip(rounds, taken[BARE], strict=True)
            ratios = [_median(times, at) / _median(bare, at) for times, bare in pairs]
            figures |= dict(
                zip((f"{clock}_low", clock, f"{clock}_high"), statistics.quantiles(ratios, n=4), strict=True)
            )
        found[name] = figures
    return found


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
    from django.conf import settings

    from jwt_upstream.testing import logged_in

    os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
    settings.JWT_UPSTREAM = {"up": {"BACKEND": "jwt_upstream.backends.OAuth2Backend", "BASE_URL": url}}
    calls = peers(f"{url}orders/1")
    asked: dict[str, int] = {}
    for alias in aliases:
        databases.use(alias)
        logged_in("up", access=TOKEN)
        for name, call in ours(alias).items():
            calls[name] = call
            call()
            asked[name] = queries(call, alias)
    found = summary(measure(calls, rounds, AT_A_TIME))
    results = {"machine": report.machine([databases.version(alias) for alias in aliases]), "calls": found}
    rows = [
        [
            f"**{name}**" if name.startswith("UpstreamClient") else name,
            f"{figures['median']:.0f} ({figures['low']:.0f} to {figures['high']:.0f})",
            f"{figures['ratio']:.2f} ({figures['ratio_low']:.2f} to {figures['ratio_high']:.2f})",
            f"{figures['cpu_ratio']:.2f}",
            asked.get(name, "none"),
        ]
        for name, figures in sorted(found.items(), key=lambda item: item[1]["ratio"])
    ]
    head = ["One GET", "µs: median (quartiles)", f"Ratio to {BARE} (quartiles)", "Ratio of CPU time", "Queries"]
    report.save("hot_path", results, report.table(head, rows))
    ratios = {name: figures["ratio"] for name, figures in found.items()}
    plots.bars("hot_path", ratios, f"time of a GET with a valid token; {BARE} = 1")
