"""A route that always refuses the token: one refresh while that could help, not one per call."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections

from jwt_upstream.client import UpstreamClient, first_use
from jwt_upstream.client.first_use import first_uses
from jwt_upstream.models import Credential
from jwt_upstream.tokens import fingerprint
from tests.support import forks, workers
from tests.support.clock import pass_time
from tests.support.upstream import Answer, Seen, Upstream


def refuse(upstream: Upstream, status: int = 401) -> None:
    """Refuse every call of ``/never/``, whatever the token."""
    upstream.answers["/never/"] = Answer(status, {"detail": "never"})


@pytest.mark.parametrize("status", [401, 403, 422])
def test_many_calls(client: UpstreamClient, upstream: Upstream, settings: Any, status: int) -> None:
    """The first call costs a refresh, further ones of any client none, and each gets its answer; others work on."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["expired_statuses"] = [403, 422]
    refuse(upstream, status)
    for number in range(10):
        response = UpstreamClient("up").get("never/")
        assert (response.status_code, response.json()) == (status, {"detail": "never"})
        assert len(response.history) == (number == 0)
        assert client.get("orders/").status_code == 200
    assert upstream.refreshes == 1
    assert len(upstream.calls("/never/")) == 11
    assert Credential.objects.get().state == "active"


def test_expired_statuses_that_is_not_set(client: UpstreamClient, upstream: Upstream) -> None:
    """Without the option a 403 or 422 is nothing that a fresh token could help."""
    for status in (403, 422):
        refuse(upstream, status)
        assert client.get("never/").status_code == status
    assert upstream.refreshes == 0


def in_threads(count: int, call: Callable[[int], Any]) -> list[Any]:
    def work(number: int) -> Any:
        try:
            return call(number)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, range(count)))


@pytest.mark.parametrize("status", [401, 422])
def test_threads(client: UpstreamClient, upstream: Upstream, settings: Any, status: int) -> None:
    """A route that always answers 401 costs many threads, each with several clients, one refresh."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["expired_statuses"] = [422]
    refuse(upstream, status)

    def call(_: int) -> set[int]:
        return {UpstreamClient("up").get("never/").status_code for _ in range(5)}

    assert in_threads(8, call) == [{status}] * 8
    assert (upstream.refreshes, upstream.reuses) == (1, 0)


class Trying:
    """A thread which gets a 401, then a fresh token, and then no answer for a while."""

    def __init__(self, upstream: Upstream, seconds: float) -> None:
        self._seconds, self._is_asking = seconds, threading.Event()
        upstream.answers["/never/"] = self._answer
        self._pool = ThreadPoolExecutor(1)

    def _answer(self, seen: Seen) -> Answer:
        is_first = seen.token == "access-2" and not self._is_asking.is_set()
        self._is_asking.set() if is_first else None
        return Answer(401, {"detail": "never"}, delay=self._seconds if is_first else 0.0)

    def __enter__(self) -> None:
        self._pool.submit(in_threads, 1, lambda _: UpstreamClient("up").get("never/"))
        assert self._is_asking.wait(20)

    def __exit__(self, *exc_info: object) -> None:
        self._pool.shutdown()


def test_token_that_is_being_tried(client: UpstreamClient, upstream: Upstream) -> None:
    """Whom a token doesn't help that another thread is just trying waits for what it finds."""
    with Trying(upstream, seconds=0.3):
        assert client.get("never/").status_code == 401
        assert upstream.refreshes == 1


def test_token_that_is_being_tried_for_long(
    client: UpstreamClient, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call waits only shortly for another one that tries the same token, whose route may be a slow one."""
    monkeypatch.setattr(first_use, "WAIT_SECONDS", 0.1)
    with Trying(upstream, seconds=1.0):
        assert client.get("never/").status_code == 401
        assert upstream.refreshes == 2


def test_child_that_is_forked_in_a_trial(client: UpstreamClient) -> None:
    """A forked child has none of its parent's trials to wait for, whatever lock was held, and leaves none behind."""
    token = client._tokens.current(client.backend)
    with first_uses().of(token), first_uses()._changed:
        child = os.fork()
        if not child:
            forks.end_if_it_hangs()
            with first_uses().of(token):
                is_alone = first_uses()._trying == {fingerprint(token.pair.access): 1}
            os._exit(0 if is_alone and first_uses()._trying == {} else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert first_uses()._trying == {}


@pytest.mark.slow
def test_processes(client: UpstreamClient, upstream: Upstream) -> None:
    """A route that always answers 401 costs one refresh in each process at most, and none once they know of it."""
    refuse(upstream)
    started = [workers.start("calls", threads=3, path="never/", seconds=0.5) for _ in range(2)]
    outcomes = [outcome for results in workers.together(*started) for outcome, _ in results]
    assert set(outcomes) == {401}
    assert len(outcomes) >= 6
    assert 1 <= upstream.refreshes <= len(started)
    assert upstream.reuses == 0
    made = upstream.refreshes
    assert client.get("never/").status_code == 401
    assert upstream.refreshes == made


def test_interval(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """After ``min_refresh_interval`` a fresh token may help again."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["min_refresh_interval"] = 30.0
    refuse(upstream)
    for seconds, refreshes in ((0, 1), (29, 1), (2, 2), (10, 2), (21, 3)):
        pass_time(seconds)
        client.get("never/")
        assert upstream.refreshes == refreshes


def test_lifetime(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """When its lifetime is over the token is renewed, whatever was suppressed before."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"] |= {"min_refresh_interval": 3600.0, "refresh_leeway": 0.0}
    upstream.lifetime = 300
    refuse(upstream)
    for seconds, refreshes in ((0, 1), (200, 1), (101, 3), (200, 3), (101, 5)):
        # At its expiry: once for the expiry, and once more since the new one gets a 401 as well.
        pass_time(seconds)
        assert client.get("never/").status_code == 401
        assert upstream.refreshes == refreshes
    assert client.get("orders/").status_code == 200
