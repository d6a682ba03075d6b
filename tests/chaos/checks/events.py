"""Changes, events, signals and messages: each change has its event, and each event is told once."""

from __future__ import annotations

from collections import Counter

from tests.chaos.checks.story import Result, Story
from tests.chaos.logs import Record

#: The events of a new pair, and of tokens that were forgotten.
_PAIRS = {"refreshed", "logged_in", "logged_out"}
_FAILING = {"rejected", "locked", "unreadable"}
_KINDS = {*_FAILING, "failing", "down", "misconfigured"}
#: A worker may be stopped for so long between an event and its incident.
_SLACK = 60.0


def changes_have_events(story: Story) -> Result:
    """Each change of a state or a pair is followed by its event in the same transaction, and each event has one."""
    result = Result("each change has its event, and each event its change")
    for rows in story.audit.values():
        before: Record | None = None
        for row in rows:
            if row["kind"] == "row":
                if before is not None and _is_told(before):
                    result.expect(False, "a change without an event", before)
                before = row
                continue
            result.expect(before is not None and _belongs(before, row), "an event without its change", before, row)
            before = None
        if before is not None and _is_told(before):
            result.expect(False, "a change without an event", before)
    return result


def _is_told(change: Record) -> bool:
    if change["generation_before"] < 0 and change["generation"] == 0:
        return False  # a row without tokens, for the automatic login that is to come
    return bool(change["state"] != change["state_before"] or change["generation"] != change["generation_before"])


def _belongs(change: Record, event: Record) -> bool:
    has_new_pair = change["generation"] != change["generation_before"]
    return (
        (event["state_before"], event["state"]) == (change["state_before"], change["state"])
        and has_new_pair == (event["kind"] in _PAIRS)
        and (event["access"], event["refresh"]) == (change["access"], change["refresh"])
        and (event["kind"] not in _FAILING or change["state_before"] == "active")
    )


def events_are_told(story: Story) -> Result:
    """Each event is announced by one signal; by none only if the process that recorded it was killed."""
    result = Result("each event is told once")
    told = Counter(record["event"] for record in story.all("signal"))
    for event in story.events:
        count = told[event["row_id"]]
        is_well = count == 1 or (count == 0 and story.recorder(event) in story.killed)
        result.expect(is_well, f"told {count} times", event)
    return result


def troubles_have_incidents(story: Story) -> Result:
    """Each event of a credential that needs a human lies within an incident of that credential."""
    result = Result("each trouble has its incident")
    for event in story.events:
        if event["kind"] in _FAILING:
            rows = [row for row in story.all("incident row") if row["subject"] == event["account"]]
            is_well = any(row["opened"] - _SLACK <= event["at"] <= row["closed"] + _SLACK for row in rows)
            result.expect(is_well, "a trouble without an incident", event, *rows[:6])
    return result


def incidents_are_told_once(story: Story) -> Result:
    """Each incident that was due to be told was, unless it was over before; its end was if its beginning was.

    A second time only by a process that was killed or stopped, or that could not reach the database, meanwhile.
    """
    result = Result("each incident is told once")
    told = Counter((record["incident"], record["kind"], record["trouble"]) for record in story.all("told"))
    most = 1 + len(story.killed) + len(story.away) + sum(map(len, story.stops.values()))
    for row in story.all("incident row"):
        _compare(result, row, {key[1:]: count for key, count in told.items() if key[0] == row["incident"]}, most)
    known = {row["incident"] for row in story.all("incident row")}
    result.expect({incident for incident, *_ in told} <= known, "an incident that nobody knows was told")
    return result


def _compare(result: Result, row: Record, told: dict[tuple[str, str], int], most: int) -> None:
    began = sum(told.get(("opened", kind), 0) > 0 for kind in _KINDS)
    ended = sum(count for (kind, _), count in told.items() if kind == "recovered")
    is_over = row["closed"] != float("inf")
    result.expect(began > 0 if row["notified"] and not is_over else True, "an incident that was not told", row)
    result.expect(all(count <= most for count in told.values()), "told too often", row)
    # Of a teller that died nobody knows whether it had told the beginning: then the end is told.
    is_well = bool(ended) == bool(began and row["recovered"]) or (most > 1 and row["recovered"] and ended > 0)
    result.expect(is_well, f"its end was told {ended} times", row)
    result.expect(row["notified"] or not began, "told although it was not due", row)
