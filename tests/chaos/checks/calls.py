"""Calls: their own answers, their own bytes, sent as often as they may be, and failing as documented."""

from __future__ import annotations

import requests

from jwt_upstream import exceptions
from tests.chaos.checks.story import Result, Story
from tests.chaos.logs import Record

_DOCUMENTED = {f"jwt_upstream.exceptions.{name}" for name in exceptions.__all__}
_DOCUMENTED |= {f"requests.exceptions.{name}" for name in dir(requests.exceptions)}
#: What a caller's own transaction may lead to.
_BLOCKED = "jwt_upstream.exceptions.RefreshBlocked"


def answers_are_own(story: Story) -> Result:
    """Whoever calls gets the answer to this very call."""
    result = Result("each answer belongs to its call")
    for begin, end in story.calls():
        if echo := end.get("echo"):
            asked = begin["call"], begin["account"], begin["digest"]
            got = echo["call"], echo["account"], echo["digest"]
            result.expect(asked == got, "the answer to another call", begin, end)
    return result


def bodies_arrive(story: Story) -> Result:
    """Every body arrives byte for byte, at the second time too."""
    result = Result("bodies arrive byte for byte")
    for number, deliveries in story.deliveries.items():
        if begin := story.begun.get(number):
            for delivery in deliveries:
                result.expect(delivery["digest"] == begin["digest"], "another body", begin, delivery)
    return result


def sent_twice_at_most(story: Story) -> Result:
    """A call is sent again only after a 401, and only once."""
    result = Result("a call is sent again only after a 401, once")
    for number, deliveries in story.deliveries.items():
        first, *others = sorted(deliveries, key=lambda record: float(record["received"]))
        is_well = len(others) < 2 and (not others or first["status"] == 401)
        result.expect(is_well, "sent too often", story.begun.get(number), *deliveries)
    return result


def failures_are_documented(story: Story) -> Result:
    """Calls, logins and rounds of the background refresh raise what the documentation says, and nothing else."""
    result = Result("only documented exceptions")
    for end in [*story.all("ended"), *story.all("work ended")]:
        outcome = end["outcome"]
        is_well = outcome == "ok" or outcome in _DOCUMENTED or outcome.startswith("own ")
        # docs/reference/commands.rst: with the exit code 2.
        is_well = is_well or (end.get("how") == "upstream_refresh" and "The database is away" in end.get("text", ""))
        result.expect(is_well, f"{outcome} is documented nowhere", end)
    return result


def statuses_are_the_upstreams(story: Story) -> Result:
    """A status that a caller gets is the one that the upstream sent last."""
    result = Result("the caller gets the upstream's last answer")
    for _, end in story.calls():
        sent = sorted(story.deliveries.get(end["call"], []), key=lambda record: float(record["received"]))
        if "status" in end and sent:
            result.expect(end["status"] == sent[-1]["status"], "another status", end, *sent)
    return result


def contention_fails_nobody(story: Story) -> Result:
    """While nothing is broken every call succeeds, but for callers whose own transaction is in the way."""
    result = Result("without faults no call fails")
    phase = story.phase("contention")
    if phase is None:
        return result
    for begin, end in story.calls():
        if phase[0] <= begin["t"] and end["t"] <= phase[1]:
            result.expect(_is_good(begin, end), "failed although nothing was broken", begin, end)
    return result


def _is_good(begin: Record, end: Record) -> bool:
    if end["outcome"] == "ok":
        return bool(end.get("status", 200) == 200)
    # In a transaction that has done nothing, too: it may be another one that holds the row, which nobody can tell.
    # SQLite's file as a whole may be locked, which a read in a transaction does not wait for either.
    is_locked = end["outcome"] == _BLOCKED or "holds a lock" in end.get("text", "")
    is_blocked = is_locked and "transaction" in begin["how"]
    # A person has logged out.
    return is_blocked or str(end["outcome"]) == "jwt_upstream.exceptions.NotLoggedIn"
