"""What a call, a refresh, the status command, the admin's lists and the search for due credentials cost among many.

Credentials are spread over ten upstreams; one in a thousand is locked, one in a thousand can't be refreshed, and the
tokens' ends are spread over an hour, so that one in sixty is due within a minute.
"""

from __future__ import annotations

import io
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from functools import partial
from types import MappingProxyType
from typing import Any

from benchmarks import databases, plots, report
from benchmarks.peers import CLIENT

SIZES = [1, 1_000, 100_000, 1_000_000]
UPSTREAMS = 10
TOUCHED = [1_000, 10_000]

#: An expression for the moment which is so many seconds from now, on each database.
_LATER = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f000', 'now', '+' || (60 + n * 61 % 3540) || ' seconds')",
    "postgresql": "now() + (60 + n * 61 % 3540) * interval '1 second'",
    "mysql": "DATE_ADD(UTC_TIMESTAMP(6), INTERVAL 60 + n * 61 % 3540 SECOND)",
}
_ACCESS, _REFRESH = f"eyJ.{'a' * 250}.sig", "r" * 64
#: What the servers do by themselves after a while.
_TIDY = {"sqlite": "ANALYZE", "postgresql": "VACUUM ANALYZE", "mysql": "ANALYZE TABLE"}


def fill(alias: str, size: int, own: Mapping[str, str] = MappingProxyType({})) -> None:
    """Have the table hold so many credentials, made by the database itself of a first one.

    ``own`` has expressions for further columns, or for others than usual; ``n`` is the number of the row.
    """
    from django.db import connections

    from jwt_upstream.fields import Encrypted
    from jwt_upstream.models import Credential
    from jwt_upstream.testing import logged_in

    connection, rows = connections[alias], Credential.objects.using(alias)
    if not rows.exists():
        logged_in("up0", "0", access=_ACCESS, refresh=_REFRESH)
    changed = {
        "upstream": joined(connection, "'up'", "(n % 10)"),
        "account": joined(connection, "''", "n"),
        "state": "CASE WHEN n % 1000 = 7 THEN 'locked' ELSE 'active' END",
        "failures": "CASE WHEN n % 1000 = 8 THEN 1 ELSE 0 END",
        "next_attempt_at": f"CASE WHEN n % 1000 = 8 THEN {_LATER[connection.vendor]} END",
        "access_expires_at": _LATER[connection.vendor],
        # Bound to no row: those of the first one would open nowhere else.
        "access_token": f"'{Encrypted.seal(_ACCESS).ciphertext}'",
        "refresh_token": f"'{Encrypted.seal(_REFRESH).ciphertext}'",
        **own,
    }
    names = [str(field.column) for field in Credential._meta.local_concrete_fields if field.column != "id"]
    values = ", ".join(changed.get(name, name) for name in names)
    table = Credential._meta.db_table
    first, last = rows.count(), size - 1
    numbers = f"WITH RECURSIVE numbers(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM numbers WHERE n < {last})"
    with connection.cursor() as cursor:
        if connection.vendor == "mysql":
            cursor.execute(f"SET max_recursive_iterations = {2 * size}")
        if first <= last:
            cursor.execute(
                f"INSERT INTO {table} ({', '.join(names)}) {numbers} "
                f"SELECT {values} FROM numbers, {table} model WHERE model.upstream = 'up0' AND model.account = '0'"
            )
        cursor.execute(f"{_TIDY[connection.vendor]} {table}")


def joined(connection: Any, *parts: str) -> str:
    """Return an expression for texts one after the other."""
    if connection.vendor == "mysql":
        return f"CONCAT({', '.join(parts)})"
    return f"({' || '.join(parts)})"


def operations(alias: str, size: int) -> dict[str, Callable[[int], Any]]:
    """Return what is measured; each is given a number that is another one each time."""
    from django.core.management import CommandError, call_command
    from django.utils import timezone

    from jwt_upstream.client import UpstreamClient
    from jwt_upstream.store import due as rows

    browser = _browser(alias)

    def client(number: int) -> UpstreamClient:
        at = number * 7919 % size
        at = at if at % 1000 not in {7, 8} else 0
        return UpstreamClient(f"up{at % UPSTREAMS}", str(at))

    def status(_: int) -> None:
        with suppress(CommandError):  # some are locked
            call_command("upstream_status", stdout=io.StringIO())

    def page(query: str, _: int) -> None:
        assert browser.get(f"/admin/jwt_upstream/credential/{query}").status_code == 200

    def due(_: int) -> None:
        for number in range(UPSTREAMS):
            now = timezone.now()
            soon = now + timedelta(seconds=120)
            rows.keys(rows.well(f"up{number}", now, soon, alias), 1000, lambda row: True)
            rows.keys(rows.idle(f"up{number}", now, alias), 1000, lambda row: True)
            rows.keys(rows.failed(f"up{number}", now, soon, alias), 1000, lambda row: True)

    return {
        "call, row not remembered": lambda number: client(number).get("orders/1").content,
        "refresh": lambda number: client(number).refresh(),
        "search for due credentials, 10 upstreams": due,
        "upstream_status": status,
        "admin list": partial(page, ""),
        "admin list, one upstream": partial(page, "?upstream=up3"),
        "admin list, locked": partial(page, "?state__exact=locked"),
        "admin list, failing": partial(page, "?trouble=failing"),
    }


def _browser(alias: str) -> Any:
    from django.contrib.auth.models import User
    from django.test import Client

    user, _ = User.objects.using(alias).get_or_create(username="root", is_staff=True, is_superuser=True)
    browser = Client()
    browser.force_login(user)
    return browser


def measure(alias: str, size: int, number: int) -> dict[str, float]:
    """Return the median of each in milliseconds."""
    from jwt_upstream.refresh.token_cache import token_cache

    found = {}
    for name, work in operations(alias, size).items():
        times = []
        for at in range(number + 1):
            token_cache().invalidate_all()  # nothing is cached of what was read before
            started = time.perf_counter()
            work(at)
            times.append((time.perf_counter() - started) * 1000)
        found[name] = statistics.median(times[1:])
    return found


def plans(alias: str) -> str:
    """Return PostgreSQL's plans of the queries, as it carried them out."""
    from django.utils import timezone

    from jwt_upstream.models import Credential
    from jwt_upstream.store import queries

    rows = Credential.objects.using(alias)
    soon, of_one = timezone.now() + timedelta(seconds=120), rows.filter(upstream="up3", state="active")
    shown = {
        "the credential of a call": rows.filter(upstream="up3", account="4443").order_by(),
        "due soon": of_one.filter(failures=0, next_attempt_at=None, access_expires_at__lte=soon)
        .order_by("next_attempt_at", "access_expires_at")
        .values_list("pk")[:1000],
        "the next upstream": rows.filter(upstream__gt="up3").order_by("upstream").values_list("upstream")[:1],
        "can't be refreshed": queries.failing(rows, ["up3", "up8"]).order_by("account")[:100],
        "need a human": rows.filter(upstream="up7", state__in=["locked", "rejected"]).order_by("account")[:100],
        "how many are active": of_one.order_by().values("upstream")[: queries.COUNT_LIMIT],
        "the admin's first page": rows.order_by("upstream", "account")[:100],
        "the admin's page of one upstream": rows.filter(upstream__gte="up3", upstream__lte="up3").order_by(
            "upstream", "account"
        )[:100],
        "the admin's page of locked ones": rows.filter(state="locked").order_by("upstream", "account")[:100],
    }
    texts = []
    for name, query in shown.items():
        plan = query.explain(analyze=True, timing=False, costs=False, summary=True)
        texts.append(f"-- {name}\n{plan}\n")
    return "\n".join(texts)


def touched(url: str) -> dict[int, int]:
    """Return the memory of a worker, in kB, after it has served so many accounts."""
    environment = databases.environment()
    command = [sys.executable, "-m", "benchmarks.scale", url]
    printed = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    return {int(size): memory for size, memory in json.loads(printed).items()}


def main() -> None:
    """Be a worker that serves many accounts, and print how large it has become."""
    import django

    django.setup()

    from jwt_upstream.client import UpstreamClient

    configure(sys.argv[1])
    sizes: dict[int, int] = {}
    for at in range(max(TOUCHED)):
        number = at * 2 + 2 * (at * 2 % 1000 == 8)  # a healthy one
        UpstreamClient(f"up{number % UPSTREAMS}", str(number)).get("orders/1")
        if at + 1 in TOUCHED:
            with open("/proc/self/status") as status:
                sizes[at + 1] = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    print(json.dumps(sizes))


def configure(url: str) -> None:
    """Point ten upstreams at one server."""
    from django.conf import settings

    backend = {"BACKEND": "jwt_upstream.backends.OAuth2Backend", "BASE_URL": url, "OPTIONS": CLIENT}
    settings.JWT_UPSTREAM = {f"up{number}": backend for number in range(UPSTREAMS)}


def run(aliases: list[str], url: str, *, is_quick: bool, number: int) -> None:
    """Measure, and write the results."""
    from jwt_upstream.models import Credential, Event

    configure(url)
    results: dict[str, Any] = {"machine": report.machine([databases.version(alias) for alias in aliases])}
    sizes = SIZES[:2] if is_quick else SIZES
    texts = []
    for alias in aliases:
        databases.use(alias)
        Event.objects.all().delete()
        Credential.objects.all().delete()
        found: dict[int, dict[str, float]] = {}
        for size in sizes:
            fill(alias, size)
            found[size] = measure(alias, size, number)
            print(f"{databases.NAMES[alias]}, {size}: {found[size]}", flush=True)
        results[alias] = found
        texts.append(_table(databases.NAMES[alias], found))
        if alias == "postgresql":
            (report.Folder.path / "plans.txt").write_text(plans(alias))
            values = {name: [found[size][name] for size in found] for name in found[sizes[0]]}
            plots.lines("scale", sizes, values, "milliseconds on PostgreSQL")
        if not is_quick:
            results[f"memory_{alias}"] = memory = touched(url)
            told = ", ".join(f"{kb / 1024:.0f} MB after {number} accounts" for number, kb in memory.items())
            texts.append(f"A worker on {databases.NAMES[alias]} that serves one account after another: {told}.\n")
    report.save("scale", results, *texts)


def _table(name: str, found: dict[int, dict[str, float]]) -> str:
    head = [f"{name}, ms", *(f"{size:,}".replace(",", " ") for size in found)]
    rows = [[what, *(f"{figures[what]:.1f}" for figures in found.values())] for what in next(iter(found.values()))]
    return report.table(head, rows)


if __name__ == "__main__":
    main()
