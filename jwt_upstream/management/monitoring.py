"""``upstream_status --check``: what is stored in one line and an exit code, as Nagios and its relatives read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, islice

from django.db.models import QuerySet

from jwt_upstream.conf import conf
from jwt_upstream.formatting import timestamp
from jwt_upstream.models import Credential
from jwt_upstream.names import did_you_mean
from jwt_upstream.store import queries

from .status import INACTIVE_STATES, MISCONFIGURED, MISMATCHED, Report

_WORDS = {0: "OK", 1: "WARNING", 2: "CRITICAL", 3: "UNKNOWN"}
#: How many credentials are decrypted to see whether a key is lost, if there are more, and how many are named.
_SHOWN_ROWS = 100
_MAX_NAMES = 3
#: What is said of those of which no state in the database tells.
_FOUND = {
    Credential.State.UNREADABLE: "of which no key decrypts the tokens",
    MISMATCHED: "whose tokens were obtained for other settings",
    MISCONFIGURED: "whose own parameters or secrets settings don't allow",
}


@dataclass(frozen=True)
class Check:
    """A line for a monitoring system and its exit code: 0 fine, 1 needs a human, 2 worse, 3 can't be told."""

    code: int
    line: str


def unknown(why: str) -> Check:
    """Return that nothing can be told, and why."""
    return _check(3, [why], [])


def critical(why: str) -> Check:
    """Return that nothing works, and why."""
    return _check(2, [why], [])


def check(alias: str | None, grace: float) -> Check:
    """Return how all credentials and upstreams are, or those of one; trouble younger than ``grace`` is left out."""
    if not isinstance(conf.upstreams, Mapping):
        return _check(2, ["JWT_UPSTREAM must be a dict"], [])
    report = Report(alias, _SHOWN_ROWS)
    if alias and report.is_empty:
        meant = did_you_mean(alias, conf.upstreams)
        return unknown(f"there is no upstream {alias!r} in JWT_UPSTREAM, and no credential for it{meant}")
    for _ in report.statuses():  # so that a lost key is seen
        pass
    before = queries.clock(queries.database()).now() - timedelta(seconds=grace)
    need_human, failing = _needing_human(report, before), _failing(report, before)
    worse = [*_upstreams(report, before), *failing.texts("can't be refreshed")]
    bad = need_human.texts("needs a human" if need_human.number == 1 else "need a human")
    fine = f"{_counted(report.credentials, 'credential')} of {_counted(len(report.tallies), 'upstream')}"
    numbers = {"credentials": report.credentials, "need_human": need_human.number, "failing": failing.number}
    figures = [f"{name}={number}" for name, number in numbers.items()]
    return _check(2 if worse else 1 if bad else 0, [*worse, *bad] or [fine], figures)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _check(code: int, texts: list[str], figures: list[str]) -> Check:
    # What follows a "|" are figures, and a line is all that is read.
    text = " ".join("; ".join(texts).replace("|", "\N{BROKEN BAR}").split())
    return Check(code, f"JWT_UPSTREAM {_WORDS[code]} - {text}" + (f" | {' '.join(figures)}" if figures else ""))


@dataclass(frozen=True)
class _Group:
    """Credentials with the same trouble: how many, and the names of a few."""

    number: int
    is_exact: bool
    names: list[str]

    def texts(self, what: str) -> list[str]:
        """Return the text on them, if there are any."""
        if not self.number:
            return []
        more = ", …" if self.number > len(self.names) else ""
        return [f"{self.number}{'' if self.is_exact else '+'} {what} ({', '.join(self.names)}{more})"]


def _needing_human(report: Report, before: datetime) -> _Group:
    missing = [each for each in report.missing if each.needs_human]
    rows = _rows(report).filter(state__in=INACTIVE_STATES, since__lte=before)
    number = _number(rows)
    names = chain(
        (f"{row} {row.get_state_display()}" for row in _few(rows)), (f"{m.upstream} {m.state}" for m in missing)
    )
    found = [what for state, what in _FOUND.items() if report.found[state]]
    total = number + len(missing) + report.unrecorded
    return _Group(total, report.is_need_human_exact, [*islice(names, _MAX_NAMES), *found])


def _failing(report: Report, before: datetime) -> _Group:
    upstreams = [tally.upstream for tally in report.tallies if tally.failing]
    rows = queries.failing(_rows(report), upstreams).filter(failing_since__lte=before)
    names = (f"{row} since {timestamp(row.failing_since)}" for row in _few(rows))
    return _Group(_number(rows), report.is_exact, list(names))


def _upstreams(report: Report, before: datetime) -> Iterator[str]:
    yield from report.problems.values()
    for incident in report.incidents:
        if incident.since <= before:
            yield f"{incident.subject} {incident.kind} since {timestamp(incident.since)}: {incident.reason}"


def _rows(report: Report) -> QuerySet[Credential]:
    rows = Credential.objects.using(queries.database())
    return rows.filter(upstream=report.alias) if report.alias else rows


def _number(rows: QuerySet[Credential]) -> int:
    return queries.number(rows, queries.COUNT_LIMIT)


def _few(rows: QuerySet[Credential]) -> QuerySet[Credential]:
    return rows.order_by("upstream", "account")[:_MAX_NAMES]
