"""Whose turn it is: which thread of a round does what next, so that no upstream delays another."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Protocol

from django.db import Error

from jwt_upstream.exceptions import CredentialError, UpstreamError
from jwt_upstream.refresh import DueCredentials, Leased

logger = logging.getLogger("jwt_upstream")

#: After so many failures in a row an upstream is skipped until the next round; after more of them if accounts have
#: hosts of their own, of which one that is away says little of the others.
_MOST_FAILURES, _MOST_FAILURES_OF_HOSTS = 3, 10
#: How many leases are taken at a time for each thread that an upstream may have, if it answers fast enough for them to
#: be refreshed within the seconds: a call that needs one of them has to wait.
_MOST_LEASES = 4
_LEASES_SECONDS = 2.0
#: An upstream whose last refresh took longer is slow: it shares threads with those that have yet to answer.
_SLOW_SECONDS = 1.0


class Counts(Protocol):
    """What is counted in a round."""

    refreshed: int
    failed: int
    need_human: int
    given_up: list[str]


class Turn:
    """One upstream's part of a round; changed by one thread at a time."""

    def __init__(self, due: DueCredentials) -> None:
        self.due = due
        self.name = due.backend.alias
        self.waiting: deque[Leased] = deque()
        #: How many threads refresh here, and may: one until the upstream has been seen to answer, then more and more.
        self.running, self.most = 0, 1
        self.has_answered = self.is_slow = self.is_leasing = self.is_over = False
        #: Whether to lease nothing until one that is under way here has ended: there are as many as may be.
        self.is_full = False
        #: The hosts at which the refreshes since the last answer failed.
        self._failed_at: list[str] = []
        self._leases, self._leased_at = 1, 0.0

    @property
    def is_busy(self) -> bool:
        """Whether a thread is at work here, after which there may be more to do."""
        return self.threads > 0

    @property
    def threads(self) -> int:
        """How many threads are at work here."""
        return self.running + self.is_leasing

    @property
    def is_prompt(self) -> bool:
        """Whether it has answered the last time, and soon: a thread that works here is soon free for others."""
        return self.has_answered and not self.is_slow

    def next_number(self) -> int:
        """Return how many leases to take: more, if the last ones were used soon and others don't count them."""
        if self.due.backend.max_concurrent_refreshes_overall:
            return self.most - self.running
        was_fast = time.monotonic() - self._leased_at < _LEASES_SECONDS
        self._leases = min(self._leases * 2, _MOST_LEASES) if was_fast else max(self._leases // 2, 1)
        self._leased_at = time.monotonic()
        return self.most * self._leases

    def answered(self, seconds: float) -> None:
        """Note that the upstream works, whatever it said, and how long that took."""
        self.has_answered, self._failed_at = True, []
        self.is_slow = seconds > _SLOW_SECONDS
        backend = self.due.backend
        overall = backend.max_concurrent_refreshes_overall or self.most + 1
        self.most = min(self.most + 1, backend.max_concurrent_refreshes, overall)

    def failed(self, host: str) -> None:
        """Note that it doesn't, at one host; after some failures in a row its turn is over."""
        self.has_answered, self.most = False, 1
        self._failed_at.append(host)
        most = _MOST_FAILURES if len({*self._failed_at}) == 1 else _MOST_FAILURES_OF_HOSTS
        self.is_over = self.is_over or len(self._failed_at) >= most


class Turns:
    """The work of a round, which its threads share."""

    def __init__(
        self,
        turns: list[Turn],
        counts: Counts,
        limit: int | None,
        seconds: float,
        threads: int,
        stop: Callable[[], bool],
    ) -> None:
        #: The database's error that ended the round, if one did.
        self.error: Error | None = None
        self._turns = deque(turns)
        self._counts = counts
        self._left = limit
        self._ends_at = time.monotonic() + seconds
        self._is_told_to_stop = stop
        self._stopped = False
        # Upstreams that have yet to answer may hang, and slow ones keep a thread for long: together they get no more
        # than half of the threads, as long as others need the rest.
        self._most_unsure = max(1, threads // 2)
        self._changed = threading.Condition()

    def work(self) -> None:
        """Do what is to be done, together with other threads, until nothing is left."""
        while job := self._next():
            job()

    @property
    def mismatched(self) -> int:
        """How many credentials were passed over, since their tokens were obtained for other settings."""
        return sum(len(turn.due.mismatched) for turn in self._turns)

    @property
    def misconfigured(self) -> int:
        """How many credentials were passed over, since settings don't allow what their accounts have of their own."""
        return sum(len(turn.due.misconfigured) for turn in self._turns)

    def announce_misconfigured(self) -> None:
        """Have admins told of these, once for each upstream."""
        for turn in self._turns:
            turn.due.announce_misconfigured()

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopped = True

    @property
    def _is_over(self) -> bool:
        return self._stopped or self._is_told_to_stop() or time.monotonic() >= self._ends_at

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            while True:
                for turn in list(self._turns):
                    if job := self._job(turn):
                        return job
                if not any(turn.is_busy for turn in self._turns):
                    self._changed.notify_all()
                    return None
                self._changed.wait()

    def _job(self, turn: Turn) -> Callable[[], None] | None:
        if turn.is_over or self._is_over:
            leased, turn.waiting = list(turn.waiting), deque()
            return partial(self._release, turn, leased) if leased else None
        if turn.running >= turn.most or self._must_wait(turn):
            return None
        if turn.waiting:
            turn.running += 1
            self._turns.remove(turn)
            self._turns.append(turn)
            return partial(self._refresh, turn, turn.waiting.popleft())
        if turn.is_leasing or turn.is_full or self._left == 0:
            return None
        turn.is_leasing = True
        number = turn.next_number() if self._left is None else min(turn.next_number(), self._left)
        self._add(-number)
        return partial(self._lease, turn, number, was_running=turn.running > 0)

    def _must_wait(self, turn: Turn) -> bool:
        if turn.is_prompt or all(each.is_slow or each.is_over for each in self._turns):
            return False
        return sum(each.threads for each in self._turns if not each.is_prompt) >= self._most_unsure

    def _add(self, number: int) -> None:
        if self._left is not None:
            self._left += number

    def _lease(self, turn: Turn, number: int, *, was_running: bool) -> None:
        leased: list[Leased] = []
        try:
            leased = turn.due.lease(number)
        except Error as error:
            self.error, self._stopped = error, True
        except Exception as error:
            # A bug in somebody's backend, as below: the other upstreams have their turns.
            self._log(turn.name, error)
            self._counts.given_up.append(turn.name)
        with self._changed:
            turn.is_leasing = False
            turn.waiting.extend(leased)
            # Our own are among those that were counted, and may have ended since: then there is room again.
            waits = turn.due.is_full and was_running
            turn.is_full = waits and turn.running > 0
            turn.is_over = turn.is_over or not (leased or waits)
            self._add(number - len(leased))
            self._changed.notify_all()

    def _refresh(self, turn: Turn, leased: Leased) -> None:
        count, began = "refreshed", time.monotonic()
        note: Callable[[float], None] = turn.answered
        try:
            turn.due.refresh(leased)
        except CredentialError:  # an upstream that refuses a token is not down
            count = "need_human"
        except UpstreamError:
            host = turn.due.host(leased)
            count, note = "failed", lambda _: turn.failed(host)
        except Exception as error:
            # A bug in somebody's backend, a row that the database refuses: no credential's trouble stops the others'.
            self._log(leased.row, error)
            count, note = "failed", _nothing
        with self._changed:
            turn.running, turn.is_full = turn.running - 1, False
            self._note(turn, count, partial(note, time.monotonic() - began))
            self._changed.notify()

    def _note(self, turn: Turn, count: str, note: Callable[[], None]) -> None:
        setattr(self._counts, count, getattr(self._counts, count) + 1)
        was_over = turn.is_over
        note()
        if turn.is_over and not was_over:
            self._counts.given_up.append(turn.name)

    def _release(self, turn: Turn, leased: list[Leased]) -> None:
        try:
            turn.due.release(leased)
        except Error as error:  # then they lapse
            self._log(turn.name, error)

    def _log(self, what: object, error: Exception) -> None:
        # Neither the text nor the frames, which may hold tokens, go anywhere.
        logger.error("%s: not refreshed: %s", what, type(error).__name__)


def _nothing(_: float) -> None:
    """Say nothing of the upstream."""
