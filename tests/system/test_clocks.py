"""Clocks that differ: hosts ahead of the database or behind it, and a database whose clock is set back."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connections
from django.utils import timezone

from jwt_upstream.client import UpstreamClient
from jwt_upstream.clock import Clock, dated_by, elapsed, host_now, now
from jwt_upstream.exceptions import RefreshUnavailable
from jwt_upstream.models import Credential, Event
from jwt_upstream.store import lease as module
from jwt_upstream.store import queries
from jwt_upstream.store.lease import SeenLeases
from jwt_upstream.tokens import TokenPair
from tests.support import workers
from tests.support.clock import pass_time
from tests.support.upstream import Answer, Upstream

SKEWS = [-86400.0, -90.0, 20.0, 40.0, 86400.0]


@pytest.mark.django_db
def test_clock_of_the_database() -> None:
    """The database's clock is this host's, where both run on one host, to a fraction of a second."""
    assert abs(queries.clock("default").now() - host_now()) < timedelta(seconds=1)


@pytest.mark.django_db
@pytest.mark.parametrize("skew", SKEWS)
def test_row_is_read_with_the_clock(skew: float) -> None:
    """A row knows the database's time, whatever this host's clock says."""
    UpstreamClient("crm").adopt(TokenPair("access", "refresh"))
    true = host_now()
    with time_machine.travel(true + timedelta(seconds=skew)):
        row = queries.find("crm", "default", "default")
        assert row is not None
        assert abs(row.now() - true) < timedelta(seconds=5)


def test_answers_are_dated_by_the_clock_that_is_set() -> None:
    """What an answer says of expiry is counted from the database's time while that clock is set."""
    clock = Clock(1000.0)
    with dated_by(clock):
        assert 999 < now().timestamp() < 1100
    assert now().timestamp() > 1e9
    assert elapsed() <= elapsed()


@pytest.fixture
def elsewhere(upstream: Upstream) -> Iterator[Any]:
    """Starts workers on hosts whose clocks differ."""
    with ExitStack() as stack:

        def start(job: str, skew: float, **arguments: Any) -> Any:
            worker = stack.enter_context(workers.start(job, skew=skew, **arguments))
            stack.callback(worker.kill)
            return worker

        yield start


@pytest.mark.slow
@pytest.mark.parametrize("skew", SKEWS)
def test_host_whose_clock_differs_meets_a_running_refresh(
    client: UpstreamClient, upstream: Upstream, elsewhere: Any, skew: float
) -> None:
    """While one host refreshes, another one whose clock differs waits for it, and nothing is spent twice."""
    upstream.refresh_delay = 1.5
    upstream.expire()
    one, other = elsewhere("calls", 0.0, threads=1), elsewhere("calls", skew, threads=1)
    outcomes = workers.together(one, other)
    assert [row[0] for rows in outcomes for row in rows] == [200, 200]
    assert (upstream.refreshes, upstream.reuses) == (1, 0)


@pytest.mark.slow
@pytest.mark.parametrize("skew", SKEWS)
def test_expiry_that_another_host_has_written(
    client: UpstreamClient, upstream: Upstream, elsewhere: Any, skew: float
) -> None:
    """A token that a host whose clock differs has stored is used for as long as it lives, and not longer."""
    upstream.lifetime = 300
    upstream.expire()
    ((outcome, _),) = workers.together(elsewhere("calls", skew, threads=1))[0]
    assert outcome == 200
    for _ in range(3):
        assert UpstreamClient("up").get("orders/").status_code == 200
    assert upstream.refreshes == 1
    pass_time(301)
    assert UpstreamClient("up").get("orders/").status_code == 200
    assert upstream.refreshes == 2


@pytest.mark.slow
@pytest.mark.parametrize("skew", SKEWS)
def test_backoff_that_another_host_has_written(
    client: UpstreamClient, upstream: Upstream, elsewhere: Any, settings: Any, skew: float
) -> None:
    """A backoff that a host whose clock differs has written binds the others for that backoff, and not longer."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["backoff"] = 20.0
    upstream.expire()
    upstream.answers["/refresh"] = Answer(503)
    workers.together(elsewhere("calls", skew, threads=1))
    with pytest.raises(RefreshUnavailable) as caught:
        client.get("orders/")
    assert 0 < (caught.value.retry_after or 0) <= 24
    assert upstream.refreshes == 1
    del upstream.answers["/refresh"]
    pass_time(25)
    assert client.get("orders/").status_code == 200


# -- a database whose clock is set back: what it wrote before lies too far ahead


def set_back(seconds: float) -> None:
    """Set the database's clock back, as seen from its rows."""
    pass_time(-seconds)


def test_backoff_from_before_the_clock_was_set_back(client: UpstreamClient, upstream: Upstream) -> None:
    """A backoff that would last for longer than any backoff does is not kept."""
    upstream.expire()
    upstream.answers["/refresh"] = Answer(503)
    with pytest.raises(RefreshUnavailable):
        client.get("orders/")
    del upstream.answers["/refresh"]
    set_back(86400)
    assert client.get("orders/").status_code == 200


def test_suppression_from_before_the_clock_was_set_back(client: UpstreamClient, upstream: Upstream) -> None:
    """Refreshes after a 401 are not suppressed for longer than ``min_refresh_interval``."""
    upstream.answers["/never/"] = Answer(401, {"detail": "never"})
    client.get("never/")
    set_back(86400)
    upstream.expire()
    assert client.get("orders/").status_code == 200


def test_lease_from_before_the_clock_was_set_back(
    client: UpstreamClient, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lease that would last for longer than leases do is kept for as long as a lease, as this process counts."""
    upstream.expire()
    until = timezone.now() + timedelta(days=1)
    Credential.objects.update(lease="elsewhere", lease_expires_at=until)
    answers: list[int] = []

    def call() -> None:
        answers.append(UpstreamClient("up").get("orders/").status_code)
        connections.close_all()

    thread = threading.Thread(target=call)
    thread.start()
    time.sleep(0.5)
    assert upstream.refreshes == 0
    seconds = [0.0]
    monkeypatch.setattr(module, "elapsed", lambda: elapsed() + seconds[0])
    seconds[0] = 31.0
    thread.join(20)
    assert answers == [200]
    assert sorted(Event.objects.values_list("kind", flat=True)) == ["interrupted", "logged_in", "refreshed"]


def test_seen_leases_are_few() -> None:
    """However many leases a process sees, it remembers the last ones."""
    seen = SeenLeases()
    for number in range(1500):
        assert not seen.is_outlasted(number, "lease", 30)
    assert len(seen._seen) == 1000
