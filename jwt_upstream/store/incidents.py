"""Incidents as rows: opened by the first sign of trouble, closed by a success, each announced by one worker only.

What admins are to be told of them goes into the outbox in the same transaction. What is written again because its
commit was not acknowledged is recognized by its moment: it is announced all the same.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from jwt_upstream import recorded
from jwt_upstream.conf import conf
from jwt_upstream.models import Credential, Event, Incident

from . import outbox, queries, statements
from .history import storable

State = Credential.State
Kind = Incident.Kind

#: Another credential that worked so lately speaks against an upstream's being in trouble as a whole.
_RECENT = timedelta(seconds=60)
#: How many accounts a message names.
_MOST_NAMES = 3


def find(row: Credential, using: str) -> list[Incident]:
    """Return the open incidents of a credential and of its upstream, by one look at an index."""
    names = ["", row.account]
    opened = Incident(upstream=row.upstream, is_open=True)
    if not statements.is_any(opened, ["upstream", "is_open"], "account", names, using):
        return []  # as after nearly every refresh
    return list(_of(row, names, using).select_related("credential").order_by())


# -- opening


def need_human(row: Credential, using: str) -> Incident | None:
    """Open the incident of a credential that needs a human; to be called in the transaction that changes its row.

    Returns it if admins are to be told: it is new, or they know of nothing that they must act upon.
    """
    now = row.now()
    columns: dict[str, Any] = {"kind": row.state, "reason": row.reason, "generation": row.generation}
    if _of(row, [row.account], using).filter(kind__in=Incident.NEEDS_HUMAN).update(**columns):
        return None
    begun = {"credential": row, "since": row.since, "opened_at": now, "notified_at": now}
    incident, is_new = _open(row, row.account, using, **columns, **begun)
    if not is_new:
        _update(incident, using, **columns, notified_at=now)
    outbox.tell(incident, now, using, again=not is_new)
    return incident


def note_failure(row: Credential, url: str, moment: datetime, using: str) -> Incident | None:
    """Note that a refresh has failed for now; return the incident if admins are to be told, which happens once.

    It is the credential's own if another one of the upstream has worked since it began, otherwise the upstream's. A
    misconfiguration is told at once, but by the second failure if others worked a moment ago and have yet to show
    whose it is; all else once it has lasted for JWT_UPSTREAM_OUTAGE_SECONDS.
    """
    incident = _of_failure(row, moment, using)
    if incident.kind in Incident.NEEDS_HUMAN:  # told already, and it was only tried again
        return None
    kind = Kind.MISCONFIGURED if row.failure_verdict == "config" else Kind.DOWN
    reason = row.failure.removesuffix(f" (POST {url})")  # the URL stands beside it
    columns: dict[str, Any] = {"reason": reason, "url": storable(url)}
    if incident.credential_id != row.pk:  # and otherwise not written again: another may have failed meanwhile
        columns["credential"] = None
    _update(incident, using, **columns, kind=Kind.FAILING if incident.account else kind)
    is_told = incident.notified_at not in {None, moment}
    return None if is_told or not _is_due(incident, row, moment, using) else _claim(incident, row, moment, using)


def note_misconfigured(row: Credential, problem: str, moment: datetime, using: str) -> Incident | None:
    """Note that settings don't allow what an account has of its own; return the incident, of which admins are told.

    It is the upstream's, and the credential's that has shown it: what others do says nothing of it. None if the
    upstream has an incident already, however many accounts there are.
    """
    begun = {"credential": row, "since": moment, "opened_at": moment, "notified_at": moment}
    columns = {"kind": Kind.MISCONFIGURED, "reason": _named(row, problem), "generation": row.generation}
    with transaction.atomic(using=using):
        incident, is_new = _open(row, "", using, **begun, **columns)
        if is_new:
            outbox.tell(incident, moment, using)
    return incident if incident.opened_at == moment else None


def pass_on(incident: Incident, row: Credential, problem: str, using: str) -> None:
    """Let an incident of accounts' own values go on with another one of them, since the one that it had works now."""
    _update(incident, using, credential=row, reason=_named(row, problem), generation=row.generation)


def _named(row: Credential, problem: str) -> str:
    return storable(f"{row.account}: {problem}")


def is_open(upstream: str, using: str) -> bool:
    """Tell whether the upstream as a whole has an open incident."""
    return Incident.objects.using(using).filter(upstream=upstream, account="", is_open=True).exists()


def _of_failure(row: Credential, moment: datetime, using: str) -> Incident:
    """Return the open incident that a failure belongs to: the credential's own or the upstream's."""
    found = {incident.account: incident for incident in find(row, using)}
    own, whole = found.get(row.account), found.get("")
    is_failing = own is not None and own.kind == Kind.FAILING
    if own and is_failing and own.notified_at:
        return own
    if whole:
        return whole
    # What others did before an incident of its own was opened has been considered then.
    began = own.opened_at if own and is_failing else row.failing_since or moment
    if not _others(row, using).filter(worked_at__gt=began).exists():
        return _begin(row, "", moment, using)
    return own or _begin(row, row.account, moment, using)


def _begin(row: Credential, account: str, moment: datetime, using: str) -> Incident:
    columns = {
        "kind": Kind.FAILING if account else Kind.DOWN,
        "since": row.failing_since or moment,
        "opened_at": moment,
    }
    return _open(row, account, using, **columns, credential=row, generation=row.generation)[0]


def _is_due(incident: Incident, row: Credential, moment: datetime, using: str) -> bool:
    if incident.account and _was_another_told(incident, moment, using):
        return False
    if moment - incident.opened_at >= timedelta(seconds=conf.outage_seconds):
        return True
    if row.failure_verdict != "config":
        return False
    if incident.account:  # what began long before was part of the upstream's incident, and has been told
        return bool(incident.opened_at < (row.failing_since or moment) + _RECENT)
    return row.failures > 1 or not _others(row, using).filter(worked_at__gt=moment - _RECENT, failures=0).exists()


def _was_another_told(incident: Incident, moment: datetime, using: str) -> bool:
    # Where many fail, some of them alone, as in a deployment that changes settings, one message names them.
    lately = moment - timedelta(seconds=conf.outage_seconds)
    own = Incident.objects.using(using).filter(upstream=incident.upstream, kind=Kind.FAILING)
    return own.filter(notified_at__gt=lately).exclude(pk=incident.pk).exists()


def _claim(incident: Incident, row: Credential, moment: datetime, using: str) -> Incident | None:
    untold = Q(notified_at=None) | Q(notified_at=moment)
    concerns = _concerns(row, using)
    with transaction.atomic(using=using):
        claimed = _update(incident, using, untold & Q(is_open=True), notified_at=moment, concerns=concerns)
        if claimed:
            outbox.tell(claimed, moment, using)
    return claimed


def _concerns(row: Credential, using: str) -> str:
    """Return how many accounts of an upstream fail, and some of their names."""
    rows = Credential.objects.using(using).filter(upstream=row.upstream)
    failing = queries.failing(rows, [row.upstream])
    number = queries.number(failing, queries.COUNT_LIMIT)
    total = queries.number(rows.exclude(state=State.LOGGED_OUT), queries.COUNT_LIMIT)
    others = failing.exclude(pk=row.pk).order_by().values_list("account", flat=True)[: _MOST_NAMES - 1]
    names = ", ".join([row.account, *others])
    if total <= 1:
        return storable(recorded.ONLY_ACCOUNT % {"upstream": row.upstream, "names": names})
    text = recorded.ONE_ACCOUNT if number <= 1 else recorded.SOME_ACCOUNTS
    numbers = {"number": max(number, 1), "total": total}
    return storable(text % {**numbers, "upstream": row.upstream, "names": names})


# -- closing


def close(incident: Incident, event: Event, row: Credential, moment: datetime, using: str) -> Incident | None:
    """Close an incident that an event of a row ends; return it if admins were told of it, and must hear of its end.

    A refresh or a login ends both incidents, but tokens that were adopted only the credential's own. An upstream's
    incident that has concerned one other credential only goes on as that one's own, if that has none yet and unless it
    is one of what accounts have of their own: whether that is over, whoever calls this has found out.
    """
    if event.kind == Event.Kind.RESTORED:  # a key that is back
        condition = Q(account=row.account, kind=Kind.UNREADABLE, generation=row.generation)
    elif incident.account:  # of the same tokens it is a newer finding
        condition = Q(generation__lt=row.generation)
    elif row.worked_at != row.obtained_at:
        return None
    else:
        only = incident.credential
        if only and only != row and not incident.is_of_values and _narrow(incident, only, using):
            return None
        condition = Q()
    with transaction.atomic(using=using):
        ended = _end(incident, moment, using, condition, recovery_notified_at=incident.notified_at and moment)
        if ended:
            outbox.tell_recovery(ended, moment, using)
    return ended


def _narrow(incident: Incident, only: Credential, using: str) -> bool:
    """Let an upstream's incident go on as that of one credential; False if that has one of its own already."""
    try:
        with transaction.atomic(using=using):
            _update(incident, using, account=only.account, kind=Kind.FAILING, generation=only.generation)
    except IntegrityError:
        return False
    return True


def close_deserted(row: Credential, moment: datetime, using: str, *, is_deleted: bool = False) -> None:
    """Close the incident of an upstream at which no credential is left, and that of a deleted credential."""
    for incident in find(row, using):
        left = _others(row, using).exclude(state=State.LOGGED_OUT)
        if is_deleted if incident.account else not left.exists():
            outbox.forget(incident, using)
            _end(incident, moment, using)


def _end(
    incident: Incident, moment: datetime, using: str, condition: Q | None = None, **columns: Any
) -> Incident | None:
    # Not if it was told of meanwhile: the next success will close it, and tell that as well.
    unchanged = Q(is_open=True, notified_at=incident.notified_at) | Q(closed_at=moment)
    closed = {"is_open": None, "closed_at": moment, **columns}
    ended = _update(incident, using, unchanged & (condition or Q()), **closed)
    return ended if incident.notified_at else None


# -- rows


def _of(row: Credential, accounts: list[str], using: str) -> QuerySet[Incident]:
    return Incident.objects.using(using).filter(upstream=row.upstream, account__in=accounts, is_open=True)


def _others(row: Credential, using: str) -> QuerySet[Credential]:
    return Credential.objects.using(using).filter(upstream=row.upstream).exclude(pk=row.pk)


def _open(row: Credential, account: str, using: str, **columns: Any) -> tuple[Incident, bool]:
    rows = Incident.objects.using(using)
    return rows.get_or_create(upstream=row.upstream, account=account, is_open=True, defaults=columns)


def _update(incident: Incident, using: str, condition: Q | None = None, **columns: Any) -> Incident | None:
    """Change a row, if it still meets the condition, and the instance with it; None if nothing was changed."""
    rows = Incident.objects.using(using).filter(condition or Q(is_open=True), pk=incident.pk)
    if not rows.update(**columns):
        return None
    for name, value in columns.items():
        setattr(incident, name, value)
    return incident
