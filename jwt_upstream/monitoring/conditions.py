"""How each upstream is, by a few queries that are bounded however many credentials there are; decrypts no token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from jwt_upstream.backends import Backend, get_backend
from jwt_upstream.conf import conf
from jwt_upstream.exceptions import UpstreamNotConfigured
from jwt_upstream.models import Credential, Incident
from jwt_upstream.refresh import misconfigured_among, mismatch_among
from jwt_upstream.store import queries

State = Credential.State

#: What an upstream's status can be, the worst last.
STATUSES = ("ok", "degraded", "needs_human")


@dataclass(frozen=True)
class Condition:
    """How one upstream is: its credentials by state, its own incident's kind ("" if none is open), the next expiry.

    "failing" are the active credentials that couldn't be refreshed the last time; those are not counted as "active".
    Numbers are exact up to ``store.queries.COUNT_LIMIT``. ``is_mismatched`` tells whether tokens were obtained for
    other settings than this process has, as far as a hundred of the credentials show, and ``is_misconfigured`` whether
    settings are wrong, or one of these hundred has something of its own that they don't allow. One that
    ``may_be_empty`` needs nobody although it has no credential: it logs in by itself, or no account is registered yet.
    """

    upstream: str
    credentials: dict[str, int]
    incident: str = ""
    next_expiry: datetime | None = None
    may_be_empty: bool = False
    is_mismatched: bool = False
    is_misconfigured: bool = False

    @property
    def status(self) -> str:
        """One of ``STATUSES``; a credential that was logged out on purpose is no trouble here."""
        if any(self.credentials.get(state) for state in (State.REJECTED, State.LOCKED, State.UNREADABLE)):
            return "needs_human"
        if self.is_mismatched or self.is_misconfigured:
            return "needs_human"
        if not self.credentials and not self.may_be_empty:
            return "needs_human"
        return "degraded" if self.incident or self.credentials.get("failing") else "ok"


def conditions(upstreams: Sequence[str] = ()) -> list[Condition]:
    """Return the condition of these upstreams, or of all that are configured or have credentials.

    Whoever may ask costs no more queries by names that there are not, nor by one that is repeated. Raises
    UpstreamNotConfigured if JWT_UPSTREAM is no dict.
    """
    if not isinstance(conf.upstreams, Mapping):
        raise UpstreamNotConfigured("JWT_UPSTREAM must be a dict")
    using = queries.database()
    rows = Credential.objects.using(using)
    known = {*conf.upstreams, *queries.upstreams(rows)}
    incidents = Incident.objects.using(using).filter(account="", is_open=True).values_list("upstream", "kind")
    kinds = dict(incidents)
    return [
        _condition(name, rows.filter(upstream=name), kinds.get(name, "")) if name in known else Condition(name, {})
        for name in dict.fromkeys(upstreams) or sorted(known)
    ]


def _condition(upstream: str, rows: QuerySet[Credential], incident: str) -> Condition:
    numbers = {state.value: queries.number(rows.filter(state=state), queries.COUNT_LIMIT) for state in State}
    numbers["failing"] = queries.number(queries.failing(rows, [upstream]), queries.COUNT_LIMIT)
    numbers[State.ACTIVE] = max(numbers[State.ACTIVE] - numbers["failing"], 0)
    present = {state: number for state, number in numbers.items() if number}
    backend = _configured(upstream)
    is_wrong = upstream in conf.upstreams and not backend
    found = {
        "may_be_empty": backend is not None and (backend.logs_in_by_itself or backend.accounts is not None),
        "is_mismatched": mismatch_among(rows) is not None,
        "is_misconfigured": is_wrong or misconfigured_among(upstream, rows) is not None,
    }
    return Condition(upstream, present, incident, _next_expiry(rows), **found)


def _next_expiry(rows: QuerySet[Credential]) -> datetime | None:
    # In the order of the index "due"; of those that fail the states tell.
    well = rows.filter(state=State.ACTIVE, failures=0, next_attempt_at=None, access_expires_at__isnull=False)
    return well.order_by("next_attempt_at", "access_expires_at").values_list("access_expires_at", flat=True).first()


def _configured(upstream: str) -> Backend | None:
    try:
        return get_backend(upstream)
    except UpstreamNotConfigured:
        return None
