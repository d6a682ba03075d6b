"""The calls that workers make: of every kind, each logged when it begins and when it ends."""

from __future__ import annotations

import io
import itertools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

from django.contrib.sessions.models import Session
from django.db import Error, connection, transaction
from django.utils import timezone
from requests import Response

from jwt_upstream.client import UpstreamClient
from jwt_upstream.models import Credential, Event
from tests.chaos import logs
from tests.chaos.cast import everybody
from tests.chaos.logs import digest
from tests.chaos.process import log

#: The share of calls that a few accounts get, so that workers meet.
_HOT_SHARE, _HOT = 0.5, 5
_numbers = itertools.count(1)


class Rollback(Exception):
    """What a caller raises to have its transaction undone."""


class Call:
    """A call of an account, with a body of its own."""

    def __init__(self, random: Random, how: str) -> None:
        accounts = everybody()
        hot = [accounts[index] for index in range(0, len(accounts), len(accounts) // _HOT)]
        self.alias, self.account = random.choice(hot if random.random() < _HOT_SHARE else accounts)
        # With the time: in half an hour another process may get the same number.
        self.id, self.how = f"{os.getpid()}-{logs.now():.3f}-{next(_numbers)}", how
        self.body = b"" if "get" in how else random.randbytes(random.choice((1, 100, 5_000)))
        self.lock = ""

    @property
    def headers(self) -> dict[str, str]:
        """What lets the upstream log whose call this is, and which."""
        return {"X-Chaos-Call": self.id, "X-Chaos-Account": f"{self.alias}/{self.account}"}

    @contextmanager
    def logged(self) -> Iterator[dict[str, Any]]:
        """Log the call's beginning and end; what it raises ends here. The caller puts the answer's facts in."""
        told: dict[str, Any] = {"call": self.id, "account": f"{self.alias}/{self.account}", "how": self.how}
        log.write("begun", digest=digest(self.body), lock=self.lock, **told)
        answer: dict[str, Any] = {"outcome": "ok"}
        try:
            yield answer
        except Exception as error:
            kind = type(error)
            answer = {"outcome": f"{kind.__module__}.{kind.__qualname__}", "text": str(error)[:300]}
        log.write("ended", **told, **answer)


def facts(response: Response) -> dict[str, Any]:
    """Return what the upstream answered: the status, and what it says of the request."""
    echo = response.json() if response.status_code == 200 else {}
    return {"status": response.status_code, "echo": echo, "sent": len(response.history) + 1}


class SyncCalls:
    """The calls of one thread, some by clients that it keeps."""

    def __init__(self, seed: str) -> None:
        self.random = Random(seed)
        self._kept: dict[tuple[str, str], UpstreamClient] = {}
        self._kinds: dict[Callable[[], None], int] = {
            self._get: 6,
            self._post: 3,
            self._post_file: 2,
            self._get_by_kept_client: 4,
            self._in_transaction: 4,
            self._refresh: 1,
        }

    def one(self) -> None:
        """Make one call of some kind."""
        self.random.choices(list(self._kinds), list(self._kinds.values()))[0]()

    def _get(self) -> None:
        call = Call(self.random, "get")
        with call.logged() as answer:
            answer |= facts(UpstreamClient(call.alias, call.account).get("orders/", headers=call.headers))

    def _post(self) -> None:
        call = Call(self.random, "post")
        with call.logged() as answer:
            client = UpstreamClient(call.alias, call.account)
            answer |= facts(client.post("orders/", data=call.body, headers=call.headers))

    def _post_file(self) -> None:
        call = Call(self.random, "post file")
        file = io.BytesIO(b"not this" + call.body)
        file.seek(8)
        with call.logged() as answer, UpstreamClient(call.alias, call.account) as client:
            answer |= facts(client.post("orders/", data=file, headers=call.headers))

    def _get_by_kept_client(self) -> None:
        call = Call(self.random, "get by a kept client")
        key = call.alias, call.account
        client = self._kept.setdefault(key, UpstreamClient(*key))
        with call.logged() as answer:
            answer |= facts(client.get("orders/", headers=call.headers))

    def _refresh(self) -> None:
        call = Call(self.random, "refresh without get")
        with call.logged():
            UpstreamClient(call.alias, call.account).refresh()

    def _in_transaction(self) -> None:
        call = Call(self.random, "get in a transaction")
        call.lock = self.random.choice(("nothing", "read", "write", "lock"))
        try:
            with transaction.atomic():
                _before(call)
                with call.logged() as answer:
                    answer |= facts(UpstreamClient(call.alias, call.account).get("orders/", headers=call.headers))
                if self.random.random() < 0.5:
                    raise Rollback
        except Rollback:
            pass
        except Error as error:  # of the caller's own queries
            log.write("own error", outcome=type(error).__name__, text=str(error)[:200])


def _before(call: Call) -> None:
    """Do what callers do in their transactions before they call."""
    rows = Credential.objects.filter(upstream=call.alias, account=call.account)
    if call.lock == "read":
        Event.objects.first()
        rows.first()
    elif call.lock == "write":
        Session.objects.create(session_key=call.id, session_data="", expire_date=timezone.now())
    elif call.lock == "lock" and connection.vendor == "sqlite":
        rows.update(username=f"written by {call.id}")
    elif call.lock == "lock":
        list(rows.select_for_update())


async def async_call(random: Random) -> None:
    """Make one call of async code."""
    call = Call(random, random.choice(("aget", "apost")))
    verb = call.how
    with call.logged() as answer:
        client = UpstreamClient(call.alias, call.account)
        body = {"data": call.body} if verb == "apost" else {}
        answer |= facts(await getattr(client, verb)("orders/", headers=call.headers, **body))


def paced(random: Random) -> None:
    """Leave a moment between two calls."""
    time.sleep(random.uniform(0.1, 0.6))
