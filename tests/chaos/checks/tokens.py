"""Tokens: spent once, never lost, used for nobody else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from tests.chaos.checks.story import Result, Story, overlap
from tests.chaos.logs import Record

#: After so many seconds of an outage a worker may give up an answer (JWT_UPSTREAM_SETTLE_SECONDS), with some slack.
_SETTLE_SECONDS = 55.0
#: How long the clocks of the database and of the logs may differ, and an audit lags behind.
_SLACK = 0.5
#: How long ago the cause of an interruption may be: the lease's life, with some slack.
_LEASE_SECONDS = 40.0
#: How long a pair takes to be written, on a busy machine, once the database is there.
_WRITING_SECONDS = 2.0
#: SQLite's writers don't queue; on a busy machine one may come after many others.
_STARVING_SECONDS = 15.0


def spent_once(story: Story) -> Result:
    """No refresh token is spent again without a recorded interruption, or a recorded failure that is ambiguous."""
    result = Result("no refresh token is spent twice")
    owners = _owners(story)
    rotations: dict[str, Record] = {}
    for request in story.all("token request"):
        spent = request["spent"]
        if spent in {"", "client_credentials"}:
            continue
        before = rotations.get(spent)
        if before is not None:
            account = owners.get(spent, "?")
            why = _interruption(story, account, before, request)
            result.expect(why is not None, f"{account}: {spent} was spent again", before, request)
        else:
            result.expect(request["outcome"] not in {"reuse", "unknown"}, f"{spent} was refused", request)
        if request["outcome"] == "ok":
            rotations.setdefault(spent, request)
    return result


def _interruption(story: Story, account: str, first: Record, second: Record) -> Record | None:
    for row in story.audit.get(account, []):
        is_between = first["received"] - _SLACK <= row["at"] <= second["t"] + _SLACK
        if row["kind"] in {"interrupted", "failed"} and is_between:
            return row
    return None


def interruptions_have_causes(story: Story) -> Result:
    """A refresh is taken for interrupted only if its worker was killed or stopped, or the database was away."""
    result = Result("each interruption has a cause")
    for rows in story.audit.values():
        for change, event in pairwise(rows):
            if event["kind"] != "interrupted":
                continue
            span = event["at"] - _LEASE_SECONDS, event["at"] + _SLACK
            _, _, process = str(change.get("lease_before", "")).partition(":")
            holder = int(process.partition(":")[0] or 0)
            databases = [interval for interval, fault in story.faults if fault["lane"] == "database"]
            has_cause = holder in story.killed or overlap([*databases, *story.stops.get(holder, [])], span) > 0
            result.expect(has_cause, "nothing had interrupted it", change, event)
    return result


def _owners(story: Story) -> dict[str, str]:
    """Return the account of each token that was ever stored to be spent: the access token where there is no other."""
    rows = (row for rows in story.audit.values() for row in rows)
    tokens = ((row["refresh"] or row["access"], row["account"]) for row in rows)
    return {token: account for token, account in tokens if token}


def pairs_are_kept(story: Story) -> Result:
    """A pair in the hands of a process that is never killed is stored, unless somebody stored another meanwhile."""
    result = Result("no pair in a live worker's hands is lost")
    stored = {(row["access"], row["refresh"]) for row in story.all("audit") if row["kind"] == "row"}
    accesses = {row["access"] for row in story.all("audit") if row["kind"] == "row"}
    owners = _owners(story)
    for got in story.all("received"):
        if got["verdict"] != "ok" or got["pid"] in story.killed:
            continue
        # With client credentials the access token alone is the pair.
        is_stored = (got["access"], got["refresh"]) in stored or (not got["refresh"] and got["access"] in accesses)
        result.expect(is_stored or _may_be_lost(story, got, owners), "a pair was not stored", got)
    return result


def _may_be_lost(story: Story, got: Record, owners: dict[str, str]) -> bool:
    if got["where"] == "login":
        return overlap(story.away, (got["t"], got["t"] + 16)) > 10  # a person is told, and logs in again
    if overlap(story.away, (got["t"], got["t"] + _SETTLE_SECONDS)) > _SETTLE_SECONDS * 0.6:
        return True
    # Somebody else's pair that was stored before this one could be: by a login, or while its holder was frozen.
    away = [*story.away, *story.stops.get(got["pid"], [])]
    could_write = got["t"] + overlap(away, (got["t"], got["t"] + 60)) + _WRITING_SECONDS
    asked = max((ask["t"] for ask in _asked(story, got)), default=got["t"])
    for row in story.audit.get(owners.get(got["spent"], ""), []):
        has_moved_on = row["kind"] == "row" and row["generation"] != row["generation_before"]
        # What a person does to a credential that works is no consequence of the loss.
        until = could_write + (_STARVING_SECONDS if row["state_before"] == "active" else 0)
        if has_moved_on and asked - _SLACK <= row["at"] <= until:
            return True
    return False


def _asked(story: Story, got: Record) -> Iterator[Record]:
    for ask in story.all("asked"):
        if (ask["pid"], ask["spent"]) == (got["pid"], got["spent"]) and ask["t"] <= got["t"]:
            yield ask


def tokens_are_own(story: Story) -> Result:
    """Each call carries a token that was stored for its own account."""
    result = Result("no call carries another account's token")
    known: dict[str, set[str]] = defaultdict(set)
    for rows in story.audit.values():
        for row in rows:
            known[row["account"]].add(row["access"])
    for call in story.all("call"):
        result.expect(call["token"] in known[call["account"]], f"a token that {call['account']} never had", call)
    return result
