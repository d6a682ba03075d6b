"""Bounds: how long callers wait, what is stuck, and what grows."""

from __future__ import annotations

from statistics import median

from tests.chaos.cast import everybody
from tests.chaos.checks.story import Interval, Result, Story, overlap
from tests.chaos.logs import Record

#: JWT_UPSTREAM_WAIT_SECONDS and what callers wait longer than the leader, and a margin for a loaded machine.
_WAIT_SECONDS, _MARGIN = 15.5, 5.0
#: How long a caller's own read waits on SQLite while another connection holds the file: Django's default. It reads
#: before a call is sent, and after a 401.
_SQLITE_SECONDS = 5.0
#: "within a second", on a loaded machine.
_BLOCKED_SECONDS = 3.0
#: After the last fault everything works again within this time.
_RECOVERY_SECONDS = 35.0
#: What a worker that is left alone may grow by, from the first third to the last.
_GROWTH = {"memory": 12_000, "threads": 6, "files": 12}


def waits_are_bounded(story: Story) -> Result:
    """Nobody waits longer than JWT_UPSTREAM_WAIT_SECONDS, beside what the upstream takes for the call itself."""
    result = Result("callers wait no longer than documented")
    bound = _WAIT_SECONDS + _MARGIN + 2 * _read_seconds(story)
    for begin, end in story.calls():
        waited = _waited(story, begin, end)
        result.expect(waited <= bound, f"waited {waited:.1f} s", begin, end)
    return result


def blocked_soon(story: Story) -> Result:
    """A caller whose own transaction is in the way is told so within a second."""
    result = Result("RefreshBlocked comes soon")
    for begin, end in story.calls():
        # One that holds nothing may have waited for somebody else's lock before.
        if end["outcome"].endswith(".RefreshBlocked") and begin["lock"] != "nothing":
            # What it waited before it was sent was for a read, and not for a refresh.
            since = max([begin["t"], *(sent["t"] for sent in story.deliveries.get(begin["call"], []))])
            waited = _waited(story, {**begin, "t": since}, end)
            result.expect(waited <= _BLOCKED_SECONDS + _read_seconds(story), f"waited {waited:.1f} s", begin, end)
    return result


def _read_seconds(story: Story) -> float:
    is_sqlite = any(record["vendor"] == "sqlite" for record in story.all("run"))
    return _SQLITE_SECONDS if is_sqlite else 0.0


def _waited(story: Story, begin: Record, end: Record) -> float:
    """Return how long a call took, without what the upstream took, its process was stopped and the network frozen."""
    span = begin["t"], end["t"]
    others: list[Interval] = list(story.stops.get(begin["pid"], []))
    # A database that neither answers nor hangs up: the driver waits, on the caller's own connection.
    others += [interval for interval, fault in story.faults if fault["fault"] == "network frozen"]
    others += [(sent["received"], sent["t"]) for sent in story.deliveries.get(begin["call"], [])]
    return float(span[1] - span[0] - overlap(others, span))


def nothing_is_stuck(story: Story) -> Result:
    """Every call of a live process ends, every process ends when told to, and every account works at the end."""
    result = Result("nothing is stuck at the end")
    for number, begin in story.begun.items():
        result.expect(number in story.ended or begin["pid"] in story.killed, "a call never ended", begin)
    for record in story.all("stuck"):
        result.expect(False, "a process did not end when it was told to", record)
    for record in story.all("left"):
        result.expect(record["status"] == 0, f"a process ended with status {record['status']}", record)
    for record in story.all("child ended"):
        result.expect(record["status"] == 0, f"a forked child ended with status {record['status']}", record)
    _accounts_work(story, result)
    return result


def _accounts_work(story: Story, result: Result) -> None:
    recovery = story.phase("recovery")
    if recovery is None:
        return
    locked = next(record["locked"] for record in story.all("phase") if record["name"] == "recovery")
    end = recovery[0] + _RECOVERY_SECONDS
    for alias, account in everybody():
        name = f"{alias}/{account}"
        calls = [(begin, done) for begin, done in story.calls() if begin["account"] == name]
        after = [done for begin, done in calls if begin["t"] >= recovery[0] and done["t"] <= recovery[1]]
        is_good = [done for done in after if done.get("status") == 200 and done["t"] <= end]
        if name in locked:
            result.expect(not is_good or is_good[-1]["t"] < recovery[0] + 10, f"{name} is not locked", *is_good[-1:])
        elif any(done["t"] <= end for done in after):
            result.expect(bool(is_good), f"{name} did not work within 35 s", *after[-3:])
        late = [done for begin, done in calls if begin["t"] > end and done["t"] <= recovery[1]]
        if name not in locked:
            for done in late:
                result.expect(_is_fine(done), f"{name} failed more than 35 s after the last fault", done)


def _is_fine(done: Record) -> bool:
    is_temporary = done["outcome"].endswith((".NotLoggedIn", ".RefreshBlocked"))  # a person, the caller itself
    return bool(is_temporary or (done["outcome"] == "ok" and done.get("status", 200) == 200))


def nothing_grows(story: Story) -> Result:
    """A worker that is left alone needs no more memory, threads, files or connections at the end than before."""
    result = Result("nothing grows in the calm workers")
    for pid in story.calm:
        samples = [record for record in story.all("sample") if record["pid"] == pid]
        third = len(samples) // 3
        if third < 5:
            continue
        for name, most in _GROWTH.items():
            # The smallest of the last ones: a moment's many threads are no growth.
            early, late = median(s[name] for s in samples[third // 2 : third]), min(s[name] for s in samples[-third:])
            result.expect(late - early <= most, f"{name} grew from {early} to {late}", samples[-1])
    for record in story.all("connections left"):
        result.expect(record["count"] == 0, f"{record['count']} connections are left", record)
    return result
