"""Random interleavings of workers at one credential: leases, calls, crashes, freezes, logins, locks, other writers."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck
from hypothesis import settings as explored
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from requests import Response

from jwt_upstream.backends import Outcome, Verdict, get_backend
from jwt_upstream.conf import conf
from jwt_upstream.exceptions import UpstreamError
from jwt_upstream.models import Credential, Event
from jwt_upstream.refresh import states
from jwt_upstream.refresh.call import Attempt
from jwt_upstream.refresh.settle import settle
from jwt_upstream.store import EventDetails, new_lease, transitions
from jwt_upstream.tokens import TokenPair
from tests.support.clock import pass_time
from tests.support.upstream import Upstream

USING = "default"


class Refreshing(RuleBasedStateMachine):
    """Workers come to each step of a refresh in any order, beside everything else that may happen meanwhile.

    The upstream rotates single-use refresh tokens; of each it is known whether it is good, spent, or lost on the way.
    """

    read: Bundle[Any] = Bundle("read")
    leased: Bundle[Any] = Bundle("leased")
    answered: Bundle[Any] = Bundle("answered")

    def __init__(self) -> None:
        super().__init__()
        Event.objects.all().delete()
        Credential.objects.all().delete()
        self.number = self.newest = 0
        self.time = 0.0
        self.good = ""
        self.spends: dict[str, int] = {}
        self.interrupted: set[str] = set()
        self.is_locked = False
        self.log_in()

    @property
    def row(self) -> Credential:
        return Credential.objects.get()

    def issue(self) -> TokenPair:
        self.number += 1
        self.good = f"refresh-{self.number}"
        return TokenPair(f"access-{self.number}", self.good)

    def pass_time(self, seconds: float) -> None:
        pass_time(seconds)
        self.time += seconds

    # -- a refresh, step by step

    def take_lease(self) -> Any:
        row, now = self.row, timezone.now()
        if row.is_leased(now) or (row.next_attempt_at and row.next_attempt_at > now):
            return multiple()
        if row.lease:
            self.interrupted.add(row.pair.refresh)
        got = transitions.take_lease(row, new_lease(), USING)
        assert (got is None) == (row.state != "active")
        return (got[0], self.time) if got else multiple()

    @rule(target=read)
    def read_it(self) -> Any:
        row, now = self.row, timezone.now()
        may_be_tried = not row.is_leased(now) and (row.next_attempt_at is None or row.next_attempt_at <= now)
        return row if may_be_tried else multiple()

    @rule(target=leased, row=read)
    def take_lease_as_read_before(self, row: Credential) -> Any:
        """Others may have taken the lease since, and settled, or failed, or logged in."""
        before, now = self.row, timezone.now()
        got = transitions.take_lease(row, new_lease(), USING)
        if got is None:
            return multiple()
        assert not before.is_leased(now), "two workers have the lease"
        assert before.next_attempt_at is None or before.next_attempt_at <= now, (
            "an attempt was made during the backoff"
        )
        if before.lease:
            self.interrupted.add(before.pair.refresh)
        return got[0], self.time

    @rule(target=answered, worker=consumes(leased))
    def call(self, worker: Any) -> Any:
        """Spend the refresh token, unless the lease is too old; see ``protocol._lease_and_refresh``."""
        row, since = worker
        if self.time - since > conf.lease_seconds - 10:
            return multiple()
        used = row.pair.refresh
        self.spends[used] = self.spends.get(used, 0) + 1
        assert self.spends[used] == 1 or used in self.interrupted, "a refresh token was spent twice"
        if self.is_locked:
            return row, Outcome(Verdict.LOCKED, "locked", status_code=401)
        if used != self.good:
            return row, Outcome(Verdict.REJECTED, "refused", status_code=401)
        return row, Outcome(Verdict.OK, "", self.issue(), 200)

    @rule(target=answered, worker=consumes(leased))
    def call_in_vain(self, worker: Any) -> Any:
        return worker[0], Outcome(Verdict.TRANSIENT, "HTTP 503", status_code=503)

    @rule(target=answered, worker=consumes(leased))
    def call_wrongly(self, worker: Any) -> Any:
        return worker[0], Outcome(Verdict.CONFIG, "HTTP 404", status_code=404)

    @rule(worker=consumes(answered))
    def settle(self, worker: Any) -> None:
        row, outcome = worker
        before = self.row
        with suppress(UpstreamError):
            settle(get_backend("up"), row, row.pair, Attempt(outcome), USING)
        if self.row.generation == before.generation and outcome.verdict is Verdict.OK:
            assert before.generation > row.generation, "the newest pair was thrown away"

    @rule()
    def another_fails_at_once(self) -> None:
        """A worker that is faster than those who have read the row."""
        worker = self.take_lease()
        if isinstance(worker, tuple):
            self.settle(self.call_in_vain(worker))

    @rule(worker=consumes(leased))
    def crash_before_the_call(self, worker: Any) -> None:
        """The worker is gone, and its lease stays."""

    @rule(worker=consumes(answered))
    def crash_with_the_answer(self, worker: Any) -> None:
        """So is what it was answered."""

    # -- what else happens

    @rule()
    def time_passes(self) -> None:
        self.pass_time(7)

    @rule()
    def a_lease_lapses(self) -> None:
        self.pass_time(conf.lease_seconds + 1)

    @rule()
    def log_in(self) -> None:
        transitions.log_in("up", "default", self.issue(), USING, username="bob", details=EventDetails())

    @rule()
    def log_out(self) -> None:
        transitions.log_out(self.row, USING, EventDetails())

    @rule()
    def account_is_locked(self) -> None:
        """An answer to a call says so, of the stored tokens."""
        self.is_locked = True
        with suppress(UpstreamError):
            states.lock(self.row, self.row.pair, "locked", Response())

    @rule()
    def account_is_unlocked(self) -> None:
        self.is_locked = False

    @precondition(lambda self: self.row.state not in {"active", "logged_out"})
    @rule()
    def try_again(self) -> None:
        """A person's word; where the upstream has refused the token this is a spend that the person asked for."""
        row = self.row
        self.interrupted.add(row.pair.refresh)
        transitions.restore(row, USING, EventDetails("tried again"))

    @rule()
    def save_a_stale_instance(self) -> None:
        row = self.row
        row.access_token, row.refresh_token, row.generation, row.state = "stale", "stale", 0, "rejected"
        row.save()

    # -- what always holds

    @invariant()
    def no_newer_pair_was_overwritten(self) -> None:
        number = int(self.row.pair.refresh.rpartition("-")[2] or self.newest)
        assert number >= self.newest
        self.newest = number

    @invariant()
    def no_live_pair_is_marked_rejected(self) -> None:
        row = self.row
        assert not (row.state == "rejected" and row.pair.refresh == self.good), "a good pair was given up"

    @invariant()
    def every_change_of_state_has_its_event(self) -> None:
        told = list(Event.objects.order_by("pk").values_list("state_before", "state"))
        assert [left for _, left in told[:-1]] == [found for found, _ in told[1:]]
        assert told[-1][1] == self.row.state

    @invariant()
    def every_pair_has_its_generation(self) -> None:
        pairs = Event.objects.filter(kind__in=["logged_in", "logged_out", "refreshed"]).count()
        assert self.row.generation == pairs


@pytest.mark.django_db
@pytest.mark.parametrize("examples", [4, pytest.param(200, marks=pytest.mark.slow)])
def test_interleavings(upstream: Upstream, examples: int) -> None:
    """Whatever the order: no token is spent twice, no newer pair lost, no good one given up, no backoff broken.

    Every change has its event.
    """
    run_state_machine_as_test(
        Refreshing,
        settings=explored(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
