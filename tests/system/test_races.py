"""Many processes and threads at the same credential, against a real upstream with reuse detection."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from jwt_upstream.client import UpstreamClient
from jwt_upstream.models import Credential, Event
from tests.support import workers
from tests.support.callers import CALLERS
from tests.support.database import can_be_written, connections_to_the_server, long_transactions, own_number
from tests.support.mails import mailing_to, subjects
from tests.support.upstream import Answer, Seen, Upstream

#: A busy machine makes everything slower; only a bug makes it that slow.
MARGIN = 5.0


def test_herd_of_processes_and_threads(client: UpstreamClient, upstream: Upstream) -> None:
    """2 processes × 8 threads with an expired token make one refresh, and every call succeeds."""
    upstream.expire()
    upstream.refresh_delay = 1.0
    results = workers.together(*(workers.start("calls", threads=8) for _ in range(2)))
    assert [outcome for result in results for outcome, _ in result] == [200] * 16
    assert (upstream.refreshes, upstream.reuses) == (1, 0)
    assert Credential.objects.get().generation == 2


@pytest.mark.slow
def test_herd_of_different_callers(client: UpstreamClient, upstream: Upstream) -> None:
    """Processes that call by requests and by httpx, waiting and awaited, make one refresh together."""
    upstream.expire()
    upstream.refresh_delay = 1.0
    herd = [workers.start("together_by", caller=name, number=8) for name in CALLERS]
    assert workers.together(*herd) == [[200] * 8] * len(CALLERS)
    assert (upstream.refreshes, upstream.reuses) == (1, 0)


# -- one refresh per expiry


@pytest.mark.slow
def test_large_herd(client: UpstreamClient, upstream: Upstream) -> None:
    """8 processes × 8 threads and a refresh of 2 s: one refresh, no reuse, 64 of 64; waiting costs nothing."""
    upstream.expire()
    before, herd = connections_to_the_server(), 8 * 8
    seen: dict[str, Any] = {}

    def refreshing(_: Seen) -> None:
        ends_at = time.monotonic() + 2.0
        while len(upstream.calls("/orders/")) < herd and time.monotonic() < ends_at + 4.0:
            time.sleep(0.02)
        time.sleep(max(0.5, ends_at - time.monotonic()))
        seen["connections"] = len(connections_to_the_server() - before - {own_number()})
        seen["transactions"] = long_transactions()
        seen["written"] = can_be_written()

    upstream.answers["/refresh"] = refreshing
    results = workers.together(*(workers.start("calls", threads=8) for _ in range(8)))
    calls = [call for result in results for call in result]
    assert [outcome for outcome, _ in calls] == [200] * herd
    assert (upstream.refreshes, upstream.reuses, len(upstream.calls("/orders/"))) == (1, 0, 2 * herd)
    assert max(when for _, when in calls) - upstream.rotated_at[0] < MARGIN
    # Each caller's own connection, as in any view, and one in each process that looks at the row for all.
    assert seen.pop("connections") <= herd + 8
    assert seen == {"transactions": 0, "written": True}


@pytest.mark.slow
def test_sustained(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """For 30 s with tokens of 2 s, 4 processes × 4 threads at two upstreams have no failed call.

    One upstream says how long its tokens last, so they are replaced in the second half of their life; at the other a
    401 tells. At either no token is replaced twice, and no more than one refresh is made per (half a) lifetime.
    """
    seconds, lifetime = 30.0, 2.0
    upstream.lifetime = upstream.lasts = lifetime
    with Upstream() as silent:
        silent.lasts = lifetime
        settings.JWT_UPSTREAM["silent"] = {**settings.JWT_UPSTREAM["up"], "BASE_URL": silent.url}
        for alias in ("up", "silent"):
            UpstreamClient(alias).login(username=upstream.user, password=upstream.password)
        fleet = [
            workers.start("stream", threads=4, seconds=seconds, pause=0.05, aliases=["up", "silent"]) for _ in range(4)
        ]
        calls = [call for result in workers.together(*fleet) for call in result]
        assert [call for call in calls if call[1] != 200] == []
        assert (upstream.reuses, silent.reuses) == (0, 0)
        lasted = max(ended for *_, ended in calls) - min(began for _, _, began, _ in calls)
        assert 1 < silent.refreshes <= lasted / lifetime + 1
        assert 1 < upstream.refreshes <= lasted / (lifetime / 2) + 1
    assert not Event.objects.exclude(kind__in=["logged_in", "refreshed"]).exists()


# -- sharing a failure


@pytest.mark.slow
def test_slow_failure_is_shared(client: UpstreamClient, upstream: Upstream) -> None:
    """A refresh that fails after 5 s costs nobody more than that: its waiters fail with it, in every process."""
    upstream.expire()
    upstream.answers["/refresh"] = Answer(503, delay=5.0)
    fleet = [workers.start("stream", threads=8, count=1) for _ in range(2)]
    calls = [call for result in workers.together(*fleet) for call in result]
    assert [outcome.partition(":")[0] for _, outcome, *_ in calls] == ["RefreshUnavailable"] * 16
    assert all("HTTP 503" in outcome for _, outcome, *_ in calls)
    assert all(ended - began < 5.0 + MARGIN - 1.0 for *_, began, ended in calls)
    assert upstream.refreshes == 1


@pytest.mark.slow
def test_busy_fleet(client: UpstreamClient, upstream: Upstream, tmp_path: Path) -> None:
    """Nobody waits longer than JWT_UPSTREAM_WAIT_SECONDS; what is slow has not failed, and its result is used."""
    upstream.expire()
    upstream.refresh_delay = 6.0
    told = {"JWT_UPSTREAM_WAIT_SECONDS": 1.0, **mailing_to(tmp_path)}
    fleet = [workers.start("stream", threads=4, count=1, settings=told) for _ in range(3)]
    calls = [call for result in workers.together(*fleet) for call in result]
    assert [outcome.partition(":")[0] for _, outcome, *_ in calls] == ["RefreshBusy"] * 12
    assert all(ended < upstream.rotated_at[0] for *_, ended in calls)
    assert Event.objects.filter(kind="failed").count() == 0
    assert (Credential.objects.get().failures, subjects(tmp_path)) == (0, [])
    assert client.get("orders/").json()["token"] == "access-2"
    assert upstream.refreshes == 1
