"""What runs beside the workers, as ``python -m tests.chaos.beside``: background refresh, and people who log in."""

from __future__ import annotations

import io
import json
import threading
import urllib.request
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

from django.db import Error

from tests.chaos import cast, process
from tests.chaos.process import log, stopping
from tests.chaos.settings import TOLD

#: How long a person takes to see the mail.
_NOTICE_SECONDS = 3.0


def refresher(random: Random) -> None:
    """Run rounds of the background refresh, by the function and by the command."""
    from django.core.management import call_command

    from jwt_upstream.background import refresh_due

    while not stopping.is_set():
        if random.random() < 0.3:
            limits: dict[str, Any] = {"seconds": 5, "ahead": 2, "stdout": io.StringIO(), "stderr": io.StringIO()}
            command = partial(call_command, "upstream_refresh", **limits)
            # In another thread, since in this one the command would take the signal that tells this process to end.
            thread = threading.Thread(target=attempt, args=("upstream_refresh", command))
            thread.start()
            thread.join()
        else:
            attempt("refresh_due", lambda: refresh_due(seconds=5, ahead=2))
        process.wait_or_stop(random.uniform(1, 3))


def people(random: Random) -> None:
    """Log in what needs a human and isn't locked at its upstream; now and then also what works."""
    while not stopping.is_set():
        attempt("look", lambda: _look_after(random))
        if random.random() < 0.15 and not stopping.is_set():
            _log_in_anew(random)
        process.wait_or_stop(random.uniform(0.5, 1.5))


def _look_after(random: Random) -> None:
    from jwt_upstream.models import Credential

    locked = control(do="look")["locked"]
    for row in Credential.objects.exclude(state="active"):
        site = cast.BY_ALIAS[row.upstream]
        may_work = f"{row.upstream}/{site.user(row.account)}" not in locked
        if may_work and (row.now() - row.since).total_seconds() > _NOTICE_SECONDS and not stopping.is_set():
            _bring_back(row, random)


def _bring_back(row: Any, random: Random) -> None:
    from jwt_upstream.client import UpstreamClient
    from jwt_upstream.refresh import try_again

    if row.state == "locked" and random.random() < 0.5:
        attempt("try again", lambda: try_again(row, by="a person"), str(row))
        return
    credentials = cast.BY_ALIAS[row.upstream].credentials(row.account)
    attempt("login", lambda: UpstreamClient(row.upstream, row.account).login(by="a person", **credentials), str(row))


def _log_in_anew(random: Random) -> None:
    from jwt_upstream.client import UpstreamClient

    alias, account = random.choice(cast.everybody())
    client = UpstreamClient(alias, account)
    if random.random() < 0.3:
        attempt("logout", lambda: client.logout(by="a person"), f"{alias}/{account}")
        process.wait_or_stop(0.5)
    credentials = cast.BY_ALIAS[alias].credentials(account)
    attempt("login", lambda: client.login(by="a person", **credentials), f"{alias}/{account}")


def attempt(how: str, work: Callable[[], Any], account: str = "") -> None:
    """Do something that may fail, and log how it ended."""
    from django.db import close_old_connections

    log.write("work begun", how=how, account=account)
    outcome, text = "ok", ""
    try:
        work()
    except Exception as error:
        outcome, text = f"{type(error).__module__}.{type(error).__qualname__}", str(error)[:300]
        is_own = isinstance(error, Error) and how in {"look", "refresh_due", "upstream_refresh"}
        outcome = f"own {outcome}" if is_own else outcome
    log.write("work ended", how=how, account=account, outcome=outcome, text=text)
    close_old_connections()


def control(**told: Any) -> Any:
    """Ask or tell the upstreams something, as no caller could."""
    request = urllib.request.Request(f"{TOLD['server']}control/", json.dumps(told).encode())
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read())


def main() -> None:
    """Play the part that this process was told, until it is to end."""
    process.begin()
    from tests.chaos import telling

    telling.connect()
    {"refresher": refresher, "people": people}[TOLD["role"]](Random(f"{TOLD['seed']} {TOLD['role']}"))
    log.write("finished")


if __name__ == "__main__":
    main()
