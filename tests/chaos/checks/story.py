"""The logs as a story: which process did what when, and which faults there were."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

from tests.chaos.logs import Record

Interval = tuple[float, float]


@dataclass
class Result:
    """How many cases a check examined, and a sentence about each that is wrong."""

    name: str
    examined: int = 0
    violations: list[str] = field(default_factory=list)

    def expect(self, is_well: bool, what: str, *records: Record | None) -> None:
        """Count a case; unless it is well, note what is wrong with the records concerned."""
        self.examined += 1
        if not is_well:
            lines = [f"\n        {short(record)}" for record in records if record]
            self.violations.append(what + "".join(lines))


def short(record: Record) -> str:
    """Return a record in one line."""
    said = " ".join(f"{name}={value}" for name, value in record.items() if name not in {"what", "t"} and value != "")
    return f"{record['t']:.3f} {record['what']}: {said[:400]}"


class Story:
    """The records of a run, in the order of time."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.records = list(records)

    @cached_property
    def _by_what(self) -> dict[str, list[Record]]:
        found: dict[str, list[Record]] = defaultdict(list)
        for record in self.records:
            found[record["what"]].append(record)
        return found

    def all(self, what: str) -> list[Record]:
        """Return the records of a kind."""
        return self._by_what.get(what, [])

    # -- processes

    @cached_property
    def killed(self) -> set[int]:
        """The processes that were killed, or that came to an end otherwise than by themselves."""
        by_nemesis = {record["target"] for record in self.all("signalled") if record["signal"] == "SIGKILL"}
        return by_nemesis | {record["target"] for record in self.all("stuck")}

    @cached_property
    def stops(self) -> dict[int, list[Interval]]:
        """When each process was stopped by SIGSTOP."""
        found: dict[int, list[Interval]] = defaultdict(list)
        began: dict[int, float] = {}
        for record in self.all("signalled"):
            if record["signal"] == "SIGSTOP":
                began[record["target"]] = record["t"]
            elif record["signal"] == "SIGCONT" and record["target"] in began:
                found[record["target"]].append((began.pop(record["target"]), record["t"]))
        return found

    @cached_property
    def calm(self) -> list[int]:
        """The processes that were left alone."""
        return [record["pid"] for record in self.all("process") if record["is_calm"]]

    # -- phases and faults

    def phase(self, name: str) -> Interval | None:
        """Return when a phase began and ended."""
        phases = self.all("phase")
        for record, after in pairwise(phases):
            if record["name"] == name:
                return record["t"], after["t"]
        return None

    @cached_property
    def faults(self) -> list[tuple[Interval, Record]]:
        """Every fault, with when it began and ended."""
        ends, found = list(self.all("fault ended")), []
        for record in self.all("fault begun"):
            same = (end for end in ends if end["lane"] == record["lane"] and end["t"] >= record["t"])
            end = next(same, None)
            found.append(((record["t"], end["t"] if end else float("inf")), record))
        return found

    @cached_property
    def away(self) -> list[Interval]:
        """When the database was away, or locked by somebody who was stopped or killed."""
        return [interval for interval, record in self.faults if record["lane"] in {"database", "stops"}]

    # -- calls

    @cached_property
    def begun(self) -> dict[str, Record]:
        """The beginning of each call, by its number."""
        return {record["call"]: record for record in self.all("begun")}

    @cached_property
    def ended(self) -> dict[str, Record]:
        """The end of each call."""
        return {record["call"]: record for record in self.all("ended")}

    def calls(self) -> Iterator[tuple[Record, Record]]:
        """Yield the beginning and the end of each call that ended."""
        for number, end in self.ended.items():
            if begin := self.begun.get(number):
                yield begin, end

    @cached_property
    def deliveries(self) -> dict[str, list[Record]]:
        """What arrived at the upstreams of each call."""
        found: dict[str, list[Record]] = defaultdict(list)
        for record in self.all("call"):
            found[record["call"]].append(record)
        return found

    # -- the audit

    @cached_property
    def audit(self) -> dict[str, list[Record]]:
        """The audit of each account: changes of its row and its events, in order."""
        found: dict[str, list[Record]] = defaultdict(list)
        for record in sorted(self.all("audit"), key=lambda record: int(record["number"])):
            found[record["account"]].append(record)
        return found

    @cached_property
    def events(self) -> list[Record]:
        """Every event."""
        return [record for rows in self.audit.values() for record in rows if record["kind"] != "row"]

    def recorder(self, event: Record) -> int:
        """Return the process that recorded an event, which the event names as "… (host:pid)"."""
        return int(str(event["by_whom"]).rpartition(":")[2].rstrip(")") or 0)


def overlap(intervals: Sequence[Interval], span: Interval) -> float:
    """Return for how many seconds of a span any of the intervals lasted."""
    begin, end = span
    covered, reached = 0.0, begin
    for since, until in sorted(intervals):
        since, until = max(since, reached), min(until, end)
        if until > since:
            covered += until - since
            reached = until
    return covered
