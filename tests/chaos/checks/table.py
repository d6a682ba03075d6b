"""The table: each check, how many cases it examined, and how many violations it found."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tests.chaos.checks import bounds, calls, events, tokens
from tests.chaos.checks.story import Result, Story
from tests.chaos.logs import Record

CHECKS: tuple[Callable[[Story], Result], ...] = (
    tokens.spent_once,
    tokens.interruptions_have_causes,
    tokens.pairs_are_kept,
    tokens.tokens_are_own,
    calls.answers_are_own,
    calls.bodies_arrive,
    calls.sent_twice_at_most,
    calls.statuses_are_the_upstreams,
    calls.failures_are_documented,
    calls.contention_fails_nobody,
    events.changes_have_events,
    events.events_are_told,
    events.troubles_have_incidents,
    events.incidents_are_told_once,
    bounds.waits_are_bounded,
    bounds.blocked_soon,
    bounds.nothing_is_stuck,
    bounds.nothing_grows,
)
_EXAMPLES = 5


def of(records: Iterable[Record]) -> tuple[str, bool]:
    """Return the table with examples of what is wrong, and whether all is well."""
    story = Story(records)
    results = [check(story) for check in CHECKS]
    rows = [f"{result.name:<58} {result.examined:>9} {len(result.violations):>10}" for result in results]
    head = [*_summary(story), "", f"{'check':<58} {'examined':>9} {'violations':>10}"]
    text = "\n".join([*head, *rows, *_examples(results)])
    return text, not any(result.violations for result in results)


def _summary(story: Story) -> list[str]:
    run = next(iter(story.all("run")), {"vendor": "?", "seed": "?", "seconds": 0})
    ok = sum(end["outcome"] == "ok" for end in story.all("ended"))
    refreshes = sum(event["kind"] == "refreshed" for event in story.events)
    return [
        f"chaos on {run['vendor']}: seed {run['seed']}, {run['seconds']:g} s, {len(story.faults)} faults, "
        f"{len(story.killed)} killed; {len(story.all('ended'))} calls, {ok} of them answered, {refreshes} refreshes",
    ]


def _examples(results: Iterable[Result]) -> list[str]:
    lines = []
    for result in results:
        if result.violations:
            lines += ["", f"{result.name}: {len(result.violations)} violations"]
            lines += [f"    - {violation}" for violation in result.violations[:_EXAMPLES]]
    return lines
