"""Where the time of a call with a valid token goes, by library: Python functions that are called, and their time."""

from __future__ import annotations

import asyncio
import cProfile
import inspect
from contextlib import AsyncExitStack
from types import CodeType
from typing import Any

from benchmarks import databases, hot_path, report
from benchmarks.hot_path import AT_A_TIME, BARE_ASYNC, BARE_HTTPX, Call

#: What the files of each part have in their paths, the first that fits; what a socket does counts for its caller.
Parts = dict[str, tuple[str, ...]]
OVER_REQUESTS: Parts = {
    "jwt_upstream": ("/jwt_upstream/",),
    "requests": ("/site-packages/requests/",),
    "urllib3": ("/site-packages/urllib3/",),
    "http.cookiejar": ("/http/cookiejar.py",),
    "http.client and socket, with waiting for the server": ("/http/client.py", "/socket.py"),
    "email.parser, for the headers of the answer": ("/email/",),
    "urllib.parse": ("/urllib/parse.py",),
    "os.environ": ("<frozen os>", "/os.py"),
}
OVER_HTTPX: Parts = {
    "the steps of a call: jwt_upstream/client/over_httpx/exchange.py and steps.py": (
        "/over_httpx/exchange.py",
        "/over_httpx/steps.py",
    ),
    "the request, its headers and its copy: requests.py and bodies.py beside them": (
        "/over_httpx/requests.py",
        "/over_httpx/bodies.py",
        "/client/caller_headers.py",
    ),
    "the transport and its connections: transport.py and pools.py": (
        "/over_httpx/transport.py",
        "/over_httpx/pools.py",
        "/jwt_upstream/process.py",
    ),
    "the rest of jwt_upstream: settings, token, verdict, measuring and so on": ("/jwt_upstream/",),
    "httpx2": ("/site-packages/httpx2/",),
    "httpcore2": ("/site-packages/httpcore2/",),
    "h11": ("/site-packages/h11/",),
    "socket, asyncio and anyio, with waiting for the server": (
        "/socket.py",
        "/asyncio/",
        "/selectors.py",
        "/site-packages/anyio/",
        "/site-packages/sniffio/",
    ),
}
REST = "the rest: Django's settings, abstract base classes and so on"


def adapter_alone(url: str) -> Call:
    """Return a call of requests' adapter with a request that is ready, which is what every client does at least."""
    import requests

    session, adapter = requests.Session(), requests.adapters.HTTPAdapter()
    session.headers["Authorization"] = f"Bearer {hot_path.TOKEN}"
    ready = session.prepare_request(requests.Request("GET", url))
    return lambda: adapter.send(ready, timeout=(3.05, 20)).content


def measure(call: Call, parts: Parts, rounds: int, loop: asyncio.Runner) -> dict[str, tuple[float, float]]:
    """Return of each part how many functions a call calls, and how many microseconds they take under the profiler.

    Of all rounds it is the one that other work on the machine has disturbed least.
    """
    return min((_round(call, parts, loop) for _ in range(rounds)), key=lambda found: _total(found)[1])


def _round(call: Call, parts: Parts, loop: asyncio.Runner) -> dict[str, tuple[float, float]]:
    profile = cProfile.Profile(builtins=False)
    if inspect.iscoroutinefunction(call):
        loop.run(_profile_awaited(profile, call))
    else:
        call()
        profile.enable()
        for _ in range(AT_A_TIME):
            call()
        profile.disable()
    found = dict.fromkeys([*parts, REST], (0.0, 0.0))
    for entry in profile.getstats():
        part = _part(entry.code, parts)
        calls, microseconds = found[part]
        found[part] = (calls + entry.callcount / AT_A_TIME, microseconds + entry.inlinetime / AT_A_TIME * 1e6)
    return found


async def _profile_awaited(profile: cProfile.Profile, call: Call) -> None:
    await call()
    profile.enable()
    for _ in range(AT_A_TIME):
        await call()
    profile.disable()


def _total(found: dict[str, tuple[float, float]]) -> tuple[float, float]:
    return sum(calls for calls, _ in found.values()), sum(microseconds for _, microseconds in found.values())


def _part(code: CodeType | str, parts: Parts) -> str:
    file = code.co_filename if isinstance(code, CodeType) else ""
    fitting = (part for part, fragments in parts.items() if any(fragment in file for fragment in fragments))
    return next(fitting, REST)


def run(aliases: list[str], url: str, *, rounds: int) -> None:
    """Measure, and write the results."""
    from jwt_upstream.testing import logged_in

    hot_path.configure(url)
    databases.use(aliases[0])
    logged_in("up", access=hot_path.TOKEN)
    closing = AsyncExitStack()
    with asyncio.Runner() as loop:
        tables = [
            _profiled(_over_requests(aliases[0], url), OVER_REQUESTS, rounds, loop),
            _profiled(_over_httpx(url, loop, closing), OVER_HTTPX, rounds, loop),
        ]
        loop.run(closing.aclose())
    results = {"machine": report.machine([databases.version(aliases[0])]), "parts": [found for found, _ in tables]}
    report.save("profile", results, *(table for _, table in tables))


def _over_requests(alias: str, url: str) -> dict[str, Call]:
    once, per_call, _ = hot_path.ours(alias).values()
    return {
        hot_path.BARE: hot_path.bare(f"{url}orders/1"),
        "UpstreamClient, built once": once,
        "UpstreamClient, built per call": per_call,
        "requests' adapter alone": adapter_alone(f"{url}orders/1"),
    }


def _over_httpx(url: str, loop: asyncio.Runner, closing: AsyncExitStack) -> dict[str, Call]:
    wanted = (BARE_HTTPX, "httpx2.Client with UpstreamTransport", BARE_ASYNC, "AsyncUpstreamClient, built once")
    calls = {**hot_path.peers(url), **loop.run(hot_path.awaited_peers(url, closing)), **hot_path.over_httpx(url)}
    return {name: calls[name] for name in wanted}


def _profiled(calls: dict[str, Call], parts: Parts, rounds: int, loop: asyncio.Runner) -> tuple[dict[str, Any], str]:
    found = {name: measure(call, parts, rounds, loop) for name, call in calls.items()}
    rows = [[part, *(_cell(*each[part]) for each in found.values())] for part in (*parts, REST)]
    rows.append(["**together**", *(_cell(*_total(each)) for each in found.values())])
    return found, report.table(["Functions called by one GET, and their time under the profiler", *found], rows)


def _cell(calls: float, microseconds: float) -> str:
    return f"{calls:.0f}, {microseconds:.0f} µs" if calls else "none"
