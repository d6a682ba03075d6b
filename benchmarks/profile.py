"""Where the time of a call with a valid token goes, by library: Python functions that are called, and their time."""

from __future__ import annotations

import cProfile
from types import CodeType

from benchmarks import databases, hot_path, report
from benchmarks.hot_path import AT_A_TIME, Call

#: What the files of each part have in their paths, the first that fits; what a socket does counts for its caller.
PARTS = {
    "jwt_upstream": "/jwt_upstream/",
    "requests": "/site-packages/requests/",
    "urllib3": "/site-packages/urllib3/",
    "http.cookiejar": "/http/cookiejar.py",
    "http.client and socket, with waiting for the server": ("/http/client.py", "/socket.py"),
    "email.parser, for the headers of the answer": "/email/",
    "urllib.parse": "/urllib/parse.py",
    "os.environ": ("<frozen os>", "/os.py"),
}
REST = "the rest: Django's settings, abstract base classes and so on"


def adapter_alone(url: str) -> Call:
    """Return a call of requests' adapter with a request that is ready, which is what every client does at least."""
    import requests

    session, adapter = requests.Session(), requests.adapters.HTTPAdapter()
    session.headers["Authorization"] = f"Bearer {hot_path.TOKEN}"
    ready = session.prepare_request(requests.Request("GET", url))
    return lambda: adapter.send(ready, timeout=(3.05, 20)).content


def measure(call: Call, rounds: int) -> dict[str, tuple[float, float]]:
    """Return of each part how many functions a call calls, and how many microseconds they take under the profiler.

    Of all rounds it is the one that other work on the machine has disturbed least.
    """
    return min((_round(call) for _ in range(rounds)), key=lambda parts: _total(parts)[1])


def _round(call: Call) -> dict[str, tuple[float, float]]:
    call()
    profile = cProfile.Profile(builtins=False)
    profile.enable()
    for _ in range(AT_A_TIME):
        call()
    profile.disable()
    found = dict.fromkeys([*PARTS, REST], (0.0, 0.0))
    for entry in profile.getstats():
        part = _part(entry.code)
        calls, microseconds = found[part]
        found[part] = (calls + entry.callcount / AT_A_TIME, microseconds + entry.inlinetime / AT_A_TIME * 1e6)
    return found


def _total(parts: dict[str, tuple[float, float]]) -> tuple[float, float]:
    return sum(calls for calls, _ in parts.values()), sum(microseconds for _, microseconds in parts.values())


def _part(code: CodeType | str) -> str:
    file = code.co_filename if isinstance(code, CodeType) else ""
    for part, fragments in PARTS.items():
        if any(each in file for each in ([fragments] if isinstance(fragments, str) else fragments)):
            return part
    return REST


def run(aliases: list[str], url: str, *, rounds: int) -> None:
    """Measure, and write the results."""
    from jwt_upstream.testing import logged_in

    hot_path.configure(url)
    databases.use(aliases[0])
    logged_in("up", access=hot_path.TOKEN)
    once, per_call, _ = hot_path.ours(aliases[0]).values()
    calls = {
        hot_path.BARE: hot_path.bare(f"{url}orders/1"),
        "UpstreamClient, built once": once,
        "UpstreamClient, built per call": per_call,
        "requests' adapter alone": adapter_alone(f"{url}orders/1"),
    }
    found = {name: measure(call, rounds) for name, call in calls.items()}
    rows = [[part, *(_cell(*parts[part]) for parts in found.values())] for part in (*PARTS, REST)]
    rows.append(["**together**", *(_cell(*_total(parts)) for parts in found.values())])
    head = ["Functions called by one GET, and their time under the profiler", *found]
    results = {"machine": report.machine([databases.version(aliases[0])]), "parts": found}
    report.save("profile", results, report.table(head, rows))


def _cell(calls: float, microseconds: float) -> str:
    return f"{calls:.0f}, {microseconds:.0f} µs" if calls else "none"
