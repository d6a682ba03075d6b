"""The states of credentials for ``upstream_status``: each of them, or totals and those in trouble; shows no secret."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from jwt_upstream import remedies
from jwt_upstream.backends import get_backend
from jwt_upstream.conf import conf
from jwt_upstream.exceptions import UpstreamNotConfigured
from jwt_upstream.fields import DecryptionError
from jwt_upstream.models import Credential, Incident
from jwt_upstream.recorded import translated
from jwt_upstream.refresh import (
    needs_login_soon,
    needs_rebinding,
    never_expires,
    rebinding,
    values_problem,
    what_differs,
)
from jwt_upstream.store import queries
from jwt_upstream.tokens import fingerprint

State = Credential.State

#: The state of an upstream that has no credential.
NEVER = gettext_noop("not logged in")
#: The state of one whose tokens were obtained for other settings than this process has; it is stored nowhere.
MISMATCHED = gettext_noop("mismatched")
#: The state of one whose own parameters or secrets are not what settings allow; likewise.
MISCONFIGURED = gettext_noop("misconfigured")
INACTIVE_STATES = [state for state in State.values if state != State.ACTIVE]
#: How many active credentials of an upstream are decrypted to see whether a key is lost, if not all are shown.
_SAMPLE_ROWS = 10
_CHUNK_ROWS = 500
_COLUMNS = (
    "upstream",
    "account",
    "state",
    "since",
    "reason",
    "username",
    "access_expires_at",
    "refresh_expires_at",
    "failures",
    "failing_since",
    "failure",
    "failure_verdict",
    "next_attempt_at",
)


@dataclass(frozen=True)
class Status:
    """The state of one credential, or of a configured upstream that has none; no field holds a secret.

    ``can_be_renewed`` is false for one that works now, but will need a human once its access token has expired.
    ``never_expires`` is true for keys. ``parameters`` are those that the account has of its own, None if it has none.
    ``is_recorded`` is false for an active one that this process can't use, which the database doesn't say.
    """

    upstream: str
    account: str | None
    state: str
    needs_human: bool
    since: datetime | None = None
    reason: str = ""
    remedy: str = ""
    username: str = ""
    access_expires_at: datetime | None = None
    refresh_expires_at: datetime | None = None
    access_fingerprint: str = ""
    refresh_fingerprint: str = ""
    failures: int = 0
    failing_since: datetime | None = None
    failure: str = ""
    failure_verdict: str = ""
    next_attempt_at: datetime | None = None
    can_be_renewed: bool = True
    never_expires: bool = False
    parameters: Any = None
    is_recorded: bool = True

    @property
    def label(self) -> str:
        """The state as people read it."""
        return str(State(self.state).label) if self.state in State else _(self.state)


@dataclass(frozen=True)
class Tally:
    """How many credentials an upstream has, in total and by state; at least so many if ``is_exact`` is false."""

    upstream: str
    credentials: int
    active: int
    failing: int
    need_human: int
    is_exact: bool


class Report:
    """The states of all credentials, or those of one upstream; if there are many, totals and those in trouble.

    ``need_human`` is how many need a human, ``found`` those of which the database doesn't say so, by state. They are
    complete once ``statuses()`` is exhausted, since a lost key is noticed only when a row is decrypted, and other
    settings when it is read. ``left_out`` is how many of them ``statuses()`` doesn't yield. ``problems`` are the
    mistakes in the settings, by alias.
    """

    def __init__(self, alias: str | None, limit: int, *, show_all: bool = False) -> None:
        self.alias = alias
        self.limit = limit
        self.tallies = _tallies(alias, None if show_all else limit + queries.COUNT_LIMIT)
        self.problems = _problems(alias)
        self.missing = _missing(alias, self.tallies)
        self.incidents = _incidents(alias)
        self.credentials = sum(tally.credentials for tally in self.tallies)
        self.is_exact = all(tally.is_exact for tally in self.tallies)
        self.is_short = self.credentials > limit and not show_all
        need_human = sum(tally.need_human for tally in self.tallies)
        self.left_out = max(need_human - limit, 0) if self.is_short else 0
        self.need_human = self.left_out
        self.found: Counter[str] = Counter()

    @property
    def is_empty(self) -> bool:
        """Whether there is no credential, no configured upstream and no open incident of one."""
        return not (self.tallies or self.missing or self.incidents)

    @property
    def unrecorded(self) -> int:
        """How many this process can't use without that being stored; of many credentials only a sample is read."""
        recorded = sum(tally.need_human for tally in self.tallies) + sum(each.needs_human for each in self.missing)
        return max(self.need_human - recorded, 0)

    @property
    def is_need_human_exact(self) -> bool:
        """Whether ``need_human`` is exact: a sample that no key decrypts stands for any number of others."""
        is_sampled = self.is_short and any(tally.active > _SAMPLE_ROWS for tally in self.tallies)
        return self.is_exact and not (is_sampled and self.unrecorded)

    def statuses(self) -> Iterator[Status]:
        """Yield the statuses to show; if not all are shown, those that need a human come first."""
        shown = _in_trouble(self.tallies, self.limit) if self.is_short else _every(self.alias)
        for status in chain(shown, self.missing):
            self.need_human += status.needs_human
            self.found[status.state] += not status.is_recorded
            yield status


def _tallies(alias: str | None, limit: int | None) -> list[Tally]:
    return [_tally(upstream, limit) for upstream in queries.upstreams(_rows(alias))]


def _tally(upstream: str, limit: int | None) -> Tally:
    rows = _rows(upstream)
    active = queries.number(rows.filter(state=State.ACTIVE), limit)
    need_human = queries.number(rows.filter(state__in=INACTIVE_STATES), limit)
    failing = queries.number(queries.failing(rows, [upstream]), limit)
    return Tally(
        upstream,
        active + need_human,
        active,
        failing,
        need_human,
        is_exact=limit is None or max(active, need_human) < limit,
    )


def _missing(alias: str | None, tallies: Sequence[Tally]) -> list[Status]:
    aliases = {alias} & conf.upstreams.keys() if alias else set(conf.upstreams)
    return [_never_logged_in(name) for name in sorted(aliases - {tally.upstream for tally in tallies})]


def _never_logged_in(alias: str) -> Status:
    if _has_accounts(alias):
        return Status(alias, None, NEVER, needs_human=False, reason=_("no account is registered yet"))
    if _logs_in_by_itself(alias):
        return Status(alias, None, NEVER, needs_human=False, reason=_("logs in by itself at the first call"))
    return Status(alias, None, NEVER, needs_human=True, remedy=Credential(upstream=alias).remedy)


def _has_accounts(alias: str) -> bool:
    try:
        return get_backend(alias).accounts is not None
    except UpstreamNotConfigured:
        return False


def _logs_in_by_itself(alias: str) -> bool:
    try:
        return get_backend(alias).logs_in_by_itself
    except UpstreamNotConfigured:
        return False


def _problems(alias: str | None) -> dict[str, str]:
    found = {}
    for name in sorted({alias} & conf.upstreams.keys() if alias else conf.upstreams):
        try:
            get_backend(name)
        except UpstreamNotConfigured as error:
            found[name] = str(error)
    return found


def _every(alias: str | None) -> Iterator[Status]:
    return map(_status, _rows(alias).order_by("upstream", "account").iterator(chunk_size=_CHUNK_ROWS))


def _in_trouble(tallies: Sequence[Tally], limit: int) -> Iterator[Status]:
    # Those that need a human come first, then those that can't be refreshed. Before them, and not counted in the
    # limit, come those of a sample of active ones that no key decrypts (there may have been no call since the key was
    # lost) or that can't be renewed, which is mostly so for all of an upstream.
    need_human = (_rows(tally.upstream).filter(state__in=INACTIVE_STATES) for tally in tallies if tally.need_human)
    failing = (queries.failing(_rows(None), [tally.upstream]) for tally in tallies if tally.failing)
    found = (rows.order_by("account")[:limit] for rows in chain(need_human, failing))
    samples = (_rows(tally.upstream).filter(state=State.ACTIVE).order_by()[:_SAMPLE_ROWS] for tally in tallies)
    sampled = map(_status, chain.from_iterable(samples))
    ailing = (each for each in sampled if each.needs_human or not (each.can_be_renewed or each.failures))
    return chain(ailing, map(_status, islice(chain.from_iterable(found), limit)))


def _incidents(alias: str | None) -> list[Incident]:
    """Return the open incidents of whole upstreams; there may be any number of the others, which states show."""
    rows = Incident.objects.using(queries.database()).filter(account="", is_open=True).order_by("upstream")
    return list(rows.filter(upstream=alias) if alias else rows)


def _rows(alias: str | None) -> QuerySet[Credential]:
    rows = Credential.objects.using(queries.database())
    return rows.filter(upstream=alias) if alias else rows


def _status(row: Credential) -> Status:
    fields: dict[str, Any] = {}
    was_active, problem = row.state == State.ACTIVE, values_problem(row)
    try:
        pair = row.pair
        fields |= {"access_fingerprint": fingerprint(pair.access), "refresh_fingerprint": fingerprint(pair.refresh)}
    except DecryptionError as error:
        if was_active:  # there was no call since the key was lost, which is told rather than what follows from it
            row.state, row.reason, problem = State.UNREADABLE, error.reason, ""
    if problem:
        row.state, row.reason = MISCONFIGURED, problem
    elif needs_rebinding(row):
        row.state, row.reason = MISMATCHED, what_differs(row)
    fields |= {name: getattr(row, name) for name in _COLUMNS}
    fields |= {"reason": translated(row.reason), "parameters": row.parameters or None}
    fields["is_recorded"] = not was_active or row.state == State.ACTIVE
    if problem:
        return Status(needs_human=True, remedy=remedies.setting(problem, row.log_in_command), **fields)
    if row.state == MISMATCHED:
        return Status(needs_human=True, remedy=rebinding(row), **fields)
    ends = needs_login_soon(row)
    remedy = row.remedy if row.needs_human or ends else ""
    fields |= {"can_be_renewed": not ends, "never_expires": never_expires(row)}
    return Status(needs_human=row.needs_human, remedy=remedy, **fields)
