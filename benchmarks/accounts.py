"""What parameters and secrets of each account's own cost a call, for 1 to 1 000 000 accounts of one upstream.

Each account has a segment of the path, a header and a secret of its own. The same calls go to an upstream without
ACCOUNTS, whose rows are as many, and to none of our own, by turns: so ratios hold on a busy machine as well.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks import databases, hot_path, plots, report, scale
from benchmarks.token_cache import Queries, counting, median, timed

SIZES = [1, 1_000, 100_000, 1_000_000]
OWN, PLAIN = "accounts with values of their own", "accounts without any"
#: Their upstreams are "up0" and "up1".
_KINDS = [OWN, PLAIN]
_CALLS, _IN_TURN = 20, 1_000
_SECRETS = '{"own_key": "the key of an account"}'


def configure(url: str) -> None:
    """Point an upstream whose accounts have values of their own and one whose accounts have none at one server."""
    from django.conf import settings

    backend = "jwt_upstream.backends.Backend"
    settings.JWT_UPSTREAM = {
        "up0": {
            "BACKEND": backend,
            "BASE_URL": f"{url}{{region}}/",
            "OPTIONS": {"api_headers": {"Authorization": "Bearer {access}", "X-Key": "{own_key}"}},
            "ACCOUNTS": {"parameters": ["region"], "secrets": ["own_key"]},
        },
        "up1": {"BACKEND": backend, "BASE_URL": f"{url}all/"},
    }


def fill(alias: str, size: int) -> None:
    """Have both upstreams have so many accounts, with even and with odd numbers for names."""
    from django.db import connections

    from jwt_upstream.client import UpstreamClient
    from jwt_upstream.fields import Encrypted
    from jwt_upstream.models import Credential
    from jwt_upstream.testing import logged_in

    if not Credential.objects.exists():
        UpstreamClient.register("up0", "0", parameters={"region": "r0"}, secrets={"own_key": "an account's own key"})
        logged_in("up0", "0", access=hot_path.TOKEN, expires_in=24 * 3600)
    connection = connections[alias]
    json_type = "jsonb" if connection.vendor == "postgresql" else "char(100)"
    region = scale.joined(connection, """'{"region": "r'""", "n", """'"}'""")
    own = {
        "upstream": scale.joined(connection, "'up'", "(n % 2)"),
        "parameters": f"CAST(CASE WHEN n % 2 = 0 THEN {region} ELSE '{{}}' END AS {json_type})",
        # Bound to no row, as the tokens.
        "secrets": f"CASE WHEN n % 2 = 0 THEN '{Encrypted.seal(_SECRETS).ciphertext}' ELSE '' END",
        "obtained_for": f"CAST('{{}}' AS {json_type})",
        **{name: name for name in ("state", "failures", "next_attempt_at", "access_expires_at")},
    }
    scale.fill(alias, 2 * size, own)


def caller(url: str) -> Callable[[str, int], bytes]:
    """Return what calls as one of the accounts, each for an order of its own, with a client built for the call.

    Of the third kind is a session of requests, built once.
    """
    import requests

    from jwt_upstream.client import UpstreamClient

    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {hot_path.TOKEN}"

    def call(kind: str, number: int) -> bytes:
        if kind == hot_path.BARE:
            return session.get(f"{url}all/orders/{number}").content
        upstream = _KINDS.index(kind)
        return UpstreamClient(f"up{upstream}", str(2 * number + upstream)).get(f"orders/{number}").content

    return call


def warm(size: int, call: Callable[[str, int], bytes], queries: Queries, rounds: int) -> dict[str, dict[str, float]]:
    """Return what a call takes whose token is cached: of one account, and of several that are called in turn.

    A ratio compares the median of a round to that of a bare session in the same round, which asks for the same orders.
    """
    several = min(size, _IN_TURN)
    for kind, number in itertools.product(_KINDS, range(several)):
        call(kind, number)  # the first one of each account reads its row and prepares requests for it
    ways = {"one": itertools.repeat(0), f"up to {_IN_TURN} in turn": itertools.cycle(range(several))}
    found: dict[str, dict[str, float]] = {}
    for how, numbers in ways.items():
        taken: dict[str, list[list[tuple[float, float, int]]]] = {kind: [] for kind in (hot_path.BARE, *_KINDS)}
        for _ in range(rounds):
            for blocks in taken.values():
                blocks.append([])
            # One call of each after the other: what slows the machine down for a moment slows down all of them.
            for number, (kind, blocks) in itertools.product(itertools.islice(numbers, _CALLS), taken.items()):
                blocks[-1].append(timed(partial(call, kind, number), queries))
        found |= {f"{kind}: {how}": _figures(taken[kind], taken[hot_path.BARE]) for kind in _KINDS}
    return found


def _figures(blocks: list[Any], bare: list[Any]) -> dict[str, float]:
    calls = [each for block in blocks for each in block]
    found = {"median": median(calls, 0), "queries": sum(each[2] for each in calls)}
    for at, name in enumerate(("ratio", "cpu_ratio")):
        pairs = [(median(block, at), median(other, at)) for block, other in zip(blocks, bare, strict=True)]
        found[name] = statistics.median(mine / others for mine, others in pairs)
    return found


def cold(size: int, call: Callable[[str, int], bytes], queries: Queries, rounds: int) -> dict[str, dict[str, float]]:
    """Return what the first call of an account in a process takes, which reads the row and makes a backend of it."""
    from jwt_upstream.refresh.token_cache import token_cache

    taken: dict[str, list[tuple[float, float, int]]] = {kind: [] for kind in _KINDS}
    for at in range(rounds):
        for kind in _KINDS:
            token_cache().invalidate_all()
            taken[kind].append(timed(partial(call, kind, at * 7919 % size), queries))
    return {
        kind: {
            "median": median(calls, 0),
            "cpu": median(calls, 1),
            "queries": sum(each[2] for each in calls) / len(calls),
        }
        for kind, calls in taken.items()
    }


def run(aliases: list[str], url: str, *, is_quick: bool, effort: float) -> None:
    """Measure, and write the results."""
    from django.test import override_settings

    from jwt_upstream.models import Credential, Event

    alias = databases.usual(aliases)
    databases.use(alias)
    configure(url)
    Event.objects.all().delete()
    Credential.objects.all().delete()
    results: dict[str, Any] = {"machine": report.machine([databases.version(alias)])}
    sizes, rounds = (SIZES[:2], 3) if is_quick else (SIZES, max(20, int(200 * effort)))
    found: dict[int, dict[str, Any]] = {}
    call = caller(url)
    with override_settings(JWT_UPSTREAM_CACHE_SECONDS=3600.0), counting(alias) as queries:
        for size in sizes:
            fill(alias, size)
            found[size] = {"warm": warm(size, call, queries, rounds), "cold": cold(size, call, queries, rounds)}
            print(f"{size}: {found[size]}", flush=True)
    report.save("accounts", {**results, "sizes": found}, _warm_table(found), _cold_table(found))
    first = next(iter(found.values()))["warm"]
    ratios = {name: [each["warm"][name]["ratio"] for each in found.values()] for name in first}
    plots.lines("accounts", sizes, ratios, f"time of a GET, {hot_path.BARE} = 1")


def _head(found: dict[int, Any], what: str) -> list[str]:
    return [what, *(f"{size:,}".replace(",", " ") for size in found)]


def _warm_table(found: dict[int, dict[str, Any]]) -> str:
    rows = []
    for name in next(iter(found.values()))["warm"]:
        for key, title, digits in (
            ("ratio", "ratio", 2),
            ("cpu_ratio", "ratio of CPU time", 2),
            ("queries", "queries", 0),
        ):
            figures = (each["warm"][name][key] for each in found.values())
            rows.append([f"{name}, {title}", *(f"{figure:.{digits}f}" for figure in figures)])
    return report.table(_head(found, "Token cached; accounts:"), rows)


def _cold_table(found: dict[int, dict[str, Any]]) -> str:
    rows = []
    for kind in _KINDS:
        for key, title, unit in (("median", "ms", 1000), ("cpu", "CPU ms", 1000), ("queries", "queries", 1)):
            figures = (each["cold"][kind][key] / unit for each in found.values())
            rows.append([f"{kind}, {title}", *(f"{figure:.1f}" for figure in figures)])
    return report.table(_head(found, "First call of an account; accounts:"), rows)
