"""Changes, events, signals and mails: each change has its event, and each event is told once."""

from __future__ import annotations

from collections import Counter, defaultdict

from tests.chaos.checks.story import Result, Story
from tests.chaos.logs import Record

#: The events of a new pair, and of tokens that were forgotten.
_PAIRS = {"refreshed", "logged_in", "logged_out"}
_FAILING = {"rejected", "locked", "unreadable"}


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


def incidents_are_mailed_once(story: Story) -> Result:
    """There is one mail for each credential that needs a human, and one when it works again."""
    result = Result("one message per incident")
    expected, optional = _messages(story)
    sent = Counter(mail["subject"] for mail in story.all("mail"))
    for subject in sorted({*expected, *optional, *sent}):
        if subject.startswith("upstream "):
            continue
        least, most = expected[subject], expected[subject] + optional[subject]
        is_well = least <= sent[subject] <= most
        records = [mail for mail in story.all("mail") if mail["subject"] == subject]
        result.expect(is_well, f"{sent[subject]} mails “{subject}” for {least} to {most} incidents", *records[:6])
    _outages(story, sent, result)
    return result


def _messages(story: Story) -> tuple[Counter[str], Counter[str]]:
    """Return how many mails of each subject there must be, and how many more there may be."""
    expected, optional = Counter[str](), Counter[str]()
    for event in story.events:
        subject = ""
        if event["kind"] in _FAILING:
            subject = f"{event['account']} is {event['state']}"
        elif event["kind"] in {"logged_in", "refreshed", "restored"} and event["state_before"] in _FAILING:
            subject = f"{event['account']} works again"
        if subject:
            (optional if story.recorder(event) in story.killed else expected)[subject] += 1
    return expected, optional


def _outages(story: Story, sent: Counter[str], result: Result) -> None:
    opened: dict[str, int] = defaultdict(int)
    closed: dict[str, int] = defaultdict(int)
    for subject, count in sent.items():
        if subject.startswith("upstream "):
            (closed if subject.endswith("works again") else opened)[subject.split()[1]] += count
    for upstream in {*opened, *closed}:
        # The last one may be open, and the mail of either may have died with a worker.
        slack = 1 + len(story.killed)
        is_well = closed[upstream] - len(story.killed) <= opened[upstream] <= closed[upstream] + slack
        result.expect(is_well, f"{opened[upstream]} outages of {upstream} were told, {closed[upstream]} ends")
