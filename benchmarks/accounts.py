"""What a call costs where each account has a parameter and a secret of its own, with 1 to 1 000 000 accounts."""

from __future__ import annotations

import statistics
from functools import partial
from typing import Any, NamedTuple

from benchmarks import databases, report, scale
from benchmarks.peers import CLIENT
from benchmarks.token_cache import Queries, counting, timed

_DECLARED = {"parameters": ["region"], "secrets": ["own_key"]}
_HEADERS = {"Authorization": "Bearer {access}", "X-Key": "{own_key}"}
PLAIN, OWN = "the same for all", "a path and a key of its own"
REMEMBERED, READ = "row remembered", "row read for the call"


def configure(url: str, *, is_own: bool) -> None:
    """Point the upstreams at one server, whose accounts have something of their own, or nothing."""
    from django.conf import settings

    written: dict[str, Any] = {"BACKEND": "jwt_upstream.backends.OAuth2Backend", "BASE_URL": url, "OPTIONS": CLIENT}
    if is_own:
        options = {**CLIENT, "api_headers": _HEADERS}
        written |= {"BASE_URL": f"{url}{{region}}/", "OPTIONS": options, "ACCOUNTS": _DECLARED}
    settings.JWT_UPSTREAM = {f"up{number}": written for number in range(scale.UPSTREAMS)}


class Times(NamedTuple):
    """The microseconds of a call by the clock, those of this process's own processor time, and its queries."""

    wall: float
    cpu: float
    queries: float


def call(number: int) -> Any:
    """Call as one of the accounts; return the answer."""
    from jwt_upstream.client import UpstreamClient

    response = UpstreamClient(f"up{number % scale.UPSTREAMS}", str(number)).get("orders/1")
    response.content  # noqa: B018 -- reads it
    return response


def measure(size: int, number: int, queries: Queries) -> dict[str, Times]:
    """Return the medians of calls whose row is remembered, and of calls that read it."""
    from jwt_upstream.refresh.token_cache import token_cache

    healthy = [at for at in range(0, size, max(size // number, 1)) if at % 1000 not in {7, 8}][:number]
    found = {}
    for name in (REMEMBERED, READ):
        times = []
        for at in [healthy[0], *healthy * max(number // len(healthy), 1)]:
            if name == READ:
                token_cache().invalidate_all()
            else:
                call(at)
            times.append(timed(partial(call, at), queries))
        found[name] = Times(*(statistics.median(each) for each in zip(*times[1:], strict=True)))
    return found


def run(aliases: list[str], url: str, *, is_quick: bool, number: int) -> None:
    """Measure, and write the results."""
    from jwt_upstream.models import Credential, Event

    alias = databases.usual(aliases)
    databases.use(alias)
    about = report.machine([databases.version(alias)])
    Event.objects.all().delete()
    Credential.objects.all().delete()
    results: dict[str, dict[int, dict[str, Times]]] = {PLAIN: {}, OWN: {}}
    for size in scale.SIZES[:2] if is_quick else scale.SIZES:
        configure(url, is_own=False)
        scale.fill(alias, size)
        # The first one, of which the database has made the others.
        Credential.objects.filter(account="0").update(parameters={"region": "r0"}, secrets='{"own_key": "k"}')
        for kind in results:
            configure(url, is_own=kind == OWN)
            with counting(alias) as queries:
                results[kind][size] = measure(size, number, queries)
            assert (str(call(0).request.url) == f"{url}r0/orders/1") is (kind == OWN)
    report.save("accounts", {"machine": about, **results}, *(_table(*each) for each in results.items()))


def _table(kind: str, found: dict[int, dict[str, Times]]) -> str:
    sizes = [f"{size:,}".replace(",", " ") for size in found]
    rows = []
    for name in (REMEMBERED, READ):
        times = [figures[name] for figures in found.values()]
        queries = f"{max(each.queries for each in times):.0f}"
        rows.append([name, queries, *(f"{each.wall:.0f}" for each in times)])
        rows.append([f"{name}, processor time", queries, *(f"{each.cpu:.0f}" for each in times)])
    return report.table([f"µs; an account has {kind}", "Queries", *sizes], rows)
