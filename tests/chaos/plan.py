"""The plan: which fault comes when and for how long; the seed alone decides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

#: The longest time for which the database is away, and a process stopped.
AWAY_SECONDS, STOPPED_SECONDS = 70.0, 45.0
#: After the last fault everything must work again within 35 s.
RECOVERY_SECONDS = 40.0

_TROUBLES = (
    "token 500",
    "token hang",
    "token cut",
    "token slow",
    "token 500 after",
    "token hang after",
    "token cut after",
    "call 500",
    "call hang",
    "call cut",
    "call slow",
)


@dataclass(frozen=True)
class Step:
    """A fault of a lane, ``at`` seconds after the first one may come."""

    at: float
    lane: str
    fault: str
    seconds: float
    #: Which process, upstream or account: a fraction of how many there are.
    target: float


@dataclass(frozen=True)
class Phases:
    """How long nothing is done, how long the nemesis is at work, and how long things have to recover."""

    contention: float
    faults: float
    recovery: float


def phases(seconds: float) -> Phases:
    """Divide a run; a short one has no faults."""
    contention = min(max(10.0, seconds * 0.12), 60.0)
    faults = seconds - contention - RECOVERY_SECONDS
    if faults < 10:
        return Phases(seconds, 0.0, 0.0)
    return Phases(contention, faults, RECOVERY_SECONDS)


def plan(seed: int, seconds: float, database_faults: Sequence[str], *, forks: bool = True) -> list[Step]:
    """Return the faults of a phase of so many seconds, in order; without forks where the driver can't bear them."""
    longest = min(AWAY_SECONDS, seconds * 0.35)
    kills = ("kill", "terminate", "clock", "fork")
    lanes = {
        "kills": (kills if forks else kills[:-1], (0.0, 0.0), (2.0, 7.0)),
        "stops": (("stop",), (1.0, min(STOPPED_SECONDS, seconds * 0.4)), (2.0, 8.0)),
        "database": (tuple(database_faults), (1.0, longest), (5.0, 12.0)),
        "upstreams": ((*_TROUBLES, "expire", "expire", "expire"), (2.0, 20.0), (2.0, 6.0)),
        "accounts": (("lock",), (3.0, 12.0), (3.0, 10.0)),
        "keys": (("keys",), (0.0, 0.0), (20.0, 40.0)),
    }
    steps = [
        step
        for lane, (faults, lasts, pauses) in lanes.items()
        for step in _lane(Random(f"{seed} {lane}"), lane, seconds, faults, lasts, pauses)
    ]
    return sorted(steps, key=lambda step: step.at)


def _lane(
    random: Random,
    lane: str,
    seconds: float,
    faults: Sequence[str],
    lasts: tuple[float, float],
    pauses: tuple[float, float],
) -> Iterator[Step]:
    at, deck = random.uniform(0, pauses[1]), list[str]()
    while at < seconds:
        if not deck:
            deck = random.sample(faults, len(faults))  # each comes before any comes twice
        shortest, longest = lasts
        # Most are short, so that there are many; the longest come too.
        duration = min(shortest + (longest - shortest) * random.random() ** 2, seconds - at)
        yield Step(round(at, 1), lane, deck.pop(), round(duration, 1), random.random())
        at += duration + random.uniform(*pauses)
