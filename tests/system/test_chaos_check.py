"""The check of a chaos run's logs finds each kind of violation, and nothing where all is well."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from tests.chaos.checks import bounds, calls, events, table, tokens
from tests.chaos.checks.story import Result, Story, overlap
from tests.chaos.logs import Record
from tests.chaos.plan import phases, plan

Change = Callable[[list[Record]], None]
ACCOUNT = "rotating/rotating1"
WORKER, UPSTREAM, STAGE = 7, 8, 9


def good() -> list[Record]:
    """Return the logs of a run in which one account was called, refreshed, locked and unlocked."""
    return [
        at(0.0, "run", vendor="sqlite", seed=1, seconds=60),
        at(0.0, "process", WORKER, role="worker", is_calm=True),
        at(0.5, "phase", STAGE, name="contention"),
        at(0.6, "audit", STAGE, number=1, **changed("", "active", -1, 1, "a1", "r1")),
        at(0.6, "audit", STAGE, number=2, **event(1, "logged_in", "", "active", "a1", "r1")),
        at(0.7, "signal", WORKER, event=1),
        at(1.0, "begun", WORKER, call="7-1", account=ACCOUNT, digest="d", how="post", lock=""),
        at(1.2, "call", UPSTREAM, received=1.1, **delivered("a1", 401)),
        at(1.3, "asked", WORKER, where="refresh", spent="r1"),
        at(1.4, "token request", UPSTREAM, received=1.3, spent="r1", outcome="ok", trouble=""),
        at(1.5, "received", WORKER, where="refresh", spent="r1", verdict="ok", access="a2", refresh="r2"),
        at(1.6, "audit", STAGE, number=3, **changed("active", "active", 1, 2, "a2", "r2")),
        at(1.6, "audit", STAGE, number=4, **event(2, "refreshed", "active", "active", "a2", "r2")),
        at(1.7, "signal", WORKER, event=2),
        at(1.8, "call", UPSTREAM, received=1.8, **delivered("a2", 200)),
        at(1.9, "ended", WORKER, **answered()),
        at(2.0, "phase", STAGE, name="faults"),
        at(3.0, "audit", STAGE, number=5, **changed("active", "locked", 2, 2, "a2", "r2")),
        at(3.0, "audit", STAGE, number=6, **event(3, "locked", "active", "locked", "a2", "r2")),
        at(3.1, "signal", WORKER, event=3),
        at(3.2, "told", WORKER, incident=1, kind="opened", trouble="locked"),
        at(4.0, "audit", STAGE, number=7, **changed("locked", "active", 2, 2, "a2", "r2")),
        at(4.0, "audit", STAGE, number=8, **event(4, "restored", "locked", "active", "a2", "r2")),
        at(4.1, "signal", WORKER, event=4),
        at(4.2, "told", WORKER, incident=1, kind="recovered", trouble="locked"),
        at(5.0, "phase", STAGE, name="recovery", locked=[]),
        *(at(6.0 + n, "sample", WORKER, memory=1000, threads=5, files=9) for n in range(30)),
        at(45.0, "phase", STAGE, name="end"),
        at(46.0, "left", STAGE, target=WORKER, status=0),
        at(47.0, "connections left", STAGE, count=0),
        at(48.0, "incident row", STAGE, **incident(opened=3.0, closed=4.0)),
    ]


def at(t: float, what: str, pid: int = STAGE, **fields: Any) -> Record:
    """Return a record."""
    return {"what": what, "t": t, "pid": pid, "process": "p", **fields}


def changed(before: str, state: str, old: int, new: int, access: str, refresh: str) -> Record:
    """Return the audit of a changed row, but for when and which."""
    told = {"kind": "row", "row_id": 1, "account": ACCOUNT, "state_before": before, "state": state, "by_whom": ""}
    return {**told, "generation_before": old, "generation": new, "access": access, "refresh": refresh, "at": 0.0}


def event(number: int, kind: str, before: str, state: str, access: str, refresh: str) -> Record:
    """Return the audit of an event that the worker recorded, but for when and which."""
    told = {"kind": kind, "row_id": number, "account": ACCOUNT, "state_before": before, "state": state}
    return {**told, "access": access, "refresh": refresh, "by_whom": f"host:{WORKER}", "at": 0.0}


def incident(**fields: Any) -> Record:
    """Return an incident of the account that was told, and its end as well."""
    return {"subject": ACCOUNT, "incident": 1, "notified": True, "recovered": True, **fields}


def delivered(token: str, status: int) -> Record:
    """Return what the upstream logs of the call."""
    return {"call": "7-1", "account": ACCOUNT, "digest": "d", "token": token, "status": status}


def answered(**fields: Any) -> Record:
    """Return how the call ended."""
    echo = {"call": "7-1", "account": ACCOUNT, "digest": "d"}
    return {"call": "7-1", "account": ACCOUNT, "how": "post", "outcome": "ok", "status": 200, "echo": echo, **fields}


def put(*added: Record) -> Change:
    """Add records."""
    return lambda records: records.extend(added)


def drop(what: str, **fields: Any) -> Change:
    """Drop the records of a kind that have these fields."""

    def change(records: list[Record]) -> None:
        kept = [record for record in records if record["what"] != what or not fields.items() <= record.items()]
        assert len(kept) < len(records)
        records[:] = kept

    return change


def edit(what: str, where: Record, **fields: Any) -> Change:
    """Change fields of the records of a kind."""

    def change(records: list[Record]) -> None:
        found = [record for record in records if record["what"] == what and where.items() <= record.items()]
        assert found
        for record in found:
            record.update(fields)

    return change


SPENT_AGAIN = at(9.0, "token request", UPSTREAM, received=9.0, spent="r1", outcome="reuse", trouble="")
BLOCKED = "jwt_upstream.exceptions.RefreshBlocked"
UNAVAILABLE = "jwt_upstream.exceptions.RefreshUnavailable"
FAULT: Record = {"lane": "database", "fault": "out of reach", "seconds": 60}
# A refresh by client credentials, whose answer is not stored.
LOST = put(
    at(8.0, "audit", number=9, **{**changed("active", "active", 2, 3, "c1", ""), "at": 8.0}),
    at(9.0, "asked", WORKER, where="refresh", spent="c1"),
    at(9.3, "received", WORKER, where="refresh", spent="c1", verdict="ok", access="c2", refresh=""),
)

VIOLATIONS: list[tuple[str, Callable[[Story], Result], Change]] = [
    ("a token is spent again", tokens.spent_once, put(SPENT_AGAIN)),
    (
        "a token that nobody issued",
        tokens.spent_once,
        put({**SPENT_AGAIN, "spent": "r0", "outcome": "unknown"}),
    ),
    (
        "an interruption by nothing",
        tokens.interruptions_have_causes,
        put(
            at(9.0, "audit", number=9, **changed("active", "active", 2, 2, "a2", "r2")),
            at(9.0, "audit", number=10, **event(5, "interrupted", "active", "active", "a2", "r2")),
        ),
    ),
    ("a pair is lost", tokens.pairs_are_kept, drop("audit", refresh="r2", generation=2)),
    ("a token without a refresh token is lost", tokens.pairs_are_kept, LOST),
    ("another account's token", tokens.tokens_are_own, edit("call", {"status": 200}, token="a9")),
    (
        "another call's answer",
        calls.answers_are_own,
        edit("ended", {}, **answered(echo={**answered()["echo"], "call": "7-2"})),
    ),
    ("another body", calls.bodies_arrive, edit("call", {"status": 200}, digest="e")),
    ("sent again after a success", calls.sent_twice_at_most, edit("call", {"status": 401}, status=200)),
    ("another status", calls.statuses_are_the_upstreams, edit("ended", {}, status=500)),
    ("an undocumented error", calls.failures_are_documented, edit("ended", {}, outcome="builtins.TimeoutError")),
    ("a failure without a fault", calls.contention_fails_nobody, edit("ended", {}, outcome=UNAVAILABLE)),
    ("a change without an event", events.changes_have_events, drop("audit", kind="locked")),
    ("an event without a change", events.changes_have_events, drop("audit", kind="row", state="locked")),
    ("an event of other tokens", events.changes_have_events, edit("audit", {"kind": "refreshed"}, refresh="r9")),
    ("an event that is not told", events.events_are_told, drop("signal", event=2)),
    ("an event that is told twice", events.events_are_told, put(at(8.0, "signal", WORKER, event=2))),
    ("a beginning that is not told", events.incidents_are_told_once, drop("told", kind="opened")),
    ("an end that is not told", events.incidents_are_told_once, drop("told", kind="recovered")),
    (
        "an incident that lasts and is not told",
        events.incidents_are_told_once,
        put(at(48.0, "incident row", STAGE, **incident(incident=2, opened=1.0, closed=float("inf"), recovered=False))),
    ),
    (
        "a message too many",
        events.incidents_are_told_once,
        put(at(8.0, "told", WORKER, incident=1, kind="opened", trouble="locked")),
    ),
    ("a message too early", events.incidents_are_told_once, edit("incident row", {}, notified=False)),
    (
        "a message about nothing",
        events.incidents_are_told_once,
        put(at(8.0, "told", WORKER, incident=9, kind="opened", trouble="down")),
    ),
    ("a trouble without an incident", events.troubles_have_incidents, edit("incident row", {}, opened=99.0)),
    ("a long wait", bounds.waits_are_bounded, edit("ended", {}, t=40.0)),
    ("blocked late", bounds.blocked_soon, edit("ended", {}, t=12.0, outcome=BLOCKED)),
    ("a call without an end", bounds.nothing_is_stuck, drop("ended")),
    ("a process without an end", bounds.nothing_is_stuck, put(at(46.0, "stuck", target=5))),
    ("a process that failed", bounds.nothing_is_stuck, edit("left", {}, status=1)),
    (
        "an account that does not recover",
        bounds.nothing_is_stuck,
        put(
            at(42.0, "begun", WORKER, call="7-2", account=ACCOUNT, digest="d", how="get", lock=""),
            at(43.0, "ended", WORKER, **answered(call="7-2", outcome=UNAVAILABLE)),
        ),
    ),
    (
        "memory that grows",
        bounds.nothing_grows,
        put(*(at(36.0 + n, "sample", WORKER, memory=99_000, threads=5, files=9) for n in range(30))),
    ),
    ("a connection that is left", bounds.nothing_grows, edit("connections left", {}, count=1)),
]


def test_nothing_is_found_where_all_is_well() -> None:
    """The logs of a good run pass every check, and each has examined something."""
    text, is_well = table.of(good())
    assert is_well, text
    assert "chaos on sqlite: seed 1" in text


@pytest.mark.parametrize(("check", "change"), [row[1:] for row in VIOLATIONS], ids=[row[0] for row in VIOLATIONS])
def test_violation_is_found(check: Callable[[Story], Result], change: Change) -> None:
    """Each kind of violation is found by its check, and shown with the lines concerned."""
    records = good()
    change(records)
    story = Story(sorted(records, key=lambda record: float(record["t"])))
    assert check(story).violations
    text, is_well = table.of(story.records)
    assert not is_well
    assert "    - " in text


EXCUSES: list[tuple[str, Callable[[Story], Result], Iterable[Change]]] = [
    (
        "a token after an interruption",
        tokens.spent_once,
        [put(SPENT_AGAIN, at(5.0, "audit", number=9, **{**event(9, "interrupted", "", "", "", ""), "at": 5.0}))],
    ),
    (
        "a pair of a killed worker",
        tokens.pairs_are_kept,
        [drop("audit", refresh="r2"), put(at(1.5, "signalled", signal="SIGKILL", target=WORKER))],
    ),
    (
        "a pair during a long outage",
        tokens.pairs_are_kept,
        [drop("audit", refresh="r2"), put(at(1.0, "fault begun", **FAULT), at(70.0, "fault ended", **FAULT))],
    ),
    (
        "a token that a login overtook",
        tokens.pairs_are_kept,
        [LOST, put(at(9.2, "audit", number=10, **{**changed("active", "active", 3, 4, "c3", ""), "at": 9.2}))],
    ),
    (
        "an event of a killed worker",
        events.events_are_told,
        [drop("signal", event=2), put(at(1.65, "signalled", signal="SIGKILL", target=WORKER))],
    ),
    (
        "a wait while stopped",
        bounds.waits_are_bounded,
        [
            edit("ended", {}, t=40.0),
            put(
                at(2.0, "signalled", signal="SIGSTOP", target=WORKER),
                at(39.0, "signalled", signal="SIGCONT", target=WORKER),
            ),
        ],
    ),
]


@pytest.mark.parametrize(("check", "changes"), [row[1:] for row in EXCUSES], ids=[row[0] for row in EXCUSES])
def test_what_nobody_could_prevent_is_no_violation(
    check: Callable[[Story], Result], changes: Iterable[Change]
) -> None:
    """What the documentation says can't be guaranteed is not reported."""
    records = good()
    for change in changes:
        change(records)
    assert not check(Story(sorted(records, key=lambda record: float(record["t"])))).violations


def test_overlap() -> None:
    """Intervals that overlap each other are counted once, and only inside the span."""
    assert overlap([(0, 4), (2, 5), (8, 99)], (1, 10)) == 6


def test_plan_is_the_seeds() -> None:
    """The same seed plans the same faults, another seed others; each fault of a lane comes before any comes twice."""
    names = ["out of reach", "read-only"]
    steps = plan(1, 120, names)
    assert steps == plan(1, 120, names) != plan(2, 120, names)
    kills = [step.fault for step in steps if step.lane == "kills"]
    assert set(kills[:4]) == {"kill", "terminate", "fork", "clock"}
    assert not any(step.fault == "fork" for step in plan(1, 120, names, forks=False))
    assert all(step.at + step.seconds <= 120.2 for step in steps)


def test_phases() -> None:
    """A run begins without faults and leaves time to recover; one that is too short for that has no faults."""
    assert phases(10).faults == 0
    long = phases(180)
    assert long.contention >= 20
    assert long.recovery > 35
    assert long.contention + long.faults + long.recovery == 180


@pytest.mark.slow
def test_run_without_faults() -> None:
    """Ten seconds of contention alone on SQLite end well."""
    command = [sys.executable, "-m", "tests.chaos", "--seconds", "10", "--seed", "1", "--database", "sqlite"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "chaos on sqlite: seed 1, 10 s, 0 faults" in done.stdout
