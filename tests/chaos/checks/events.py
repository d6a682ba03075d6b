"""Changes, events, signals and mails: each change has its event, and each event is told once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from tests.chaos.checks.story import Result, Story
from tests.chaos.logs import Record

#: The events of a new pair, and of tokens that were forgotten.
_PAIRS = {"refreshed", "logged_in", "logged_out"}
_FAILING = {"rejected", "locked", "unreadable"}
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


def incidents_are_mailed_once(story: Story) -> Result:
    """There is one mail for each incident that was told, and one for its end; those of killed workers may lack."""
    result = Result("one message per incident")
    _compare(story, result, "notified", lambda subject: subject.rpartition(" is ")[0])
    _compare(story, result, "recovered", lambda subject: subject.removesuffix(" works again"))
    return result


def _compare(story: Story, result: Result, told: str, subject_of: Callable[[str], str]) -> None:
    subjects = [str(mail["subject"]) for mail in story.all("mail")]
    sent = Counter(subject_of(subject) for subject in subjects if (told == "recovered") == subject.endswith(" again"))
    rows = Counter(row["mailed_as"] for row in story.all("incident row") if row[told])
    for subject in sorted({*sent, *rows}):
        # One that needs a human after it only failed is told a second time.
        most = rows[subject] + (subjects.count(f"{subject} is failing") if told == "notified" else 0)
        is_well = rows[subject] - len(story.killed) <= sent[subject] <= most
        records = [mail for mail in story.all("mail") if str(mail["subject"]).startswith(f"{subject} ")]
        result.expect(is_well, f"{sent[subject]} mails, {rows[subject]} incidents {told}: {subject}", *records[:6])
