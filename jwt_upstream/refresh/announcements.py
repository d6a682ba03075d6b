"""Announces what was committed: the log line and the signal of every event and incident, each once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from django.db import Error
from django.db.models.signals import post_delete
from django.dispatch import Signal

from jwt_upstream import signals
from jwt_upstream.models import Credential, Event, Incident
from jwt_upstream.names import full_name
from jwt_upstream.store import connections, incidents, outbox, queries

from .call import misconfigured_among, values_problem
from .token_cache import token_cache

T = TypeVar("T")

logger = logging.getLogger("jwt_upstream")

Kind = Event.Kind
_SIGNALS: dict[str, Signal] = {
    Kind.LOGGED_IN: signals.credential_logged_in,
    Kind.LOGGED_OUT: signals.credential_logged_out,
    Kind.REFRESHED: signals.credential_refreshed,
    Kind.REJECTED: signals.credential_rejected,
    Kind.LOCKED: signals.credential_locked,
    Kind.UNREADABLE: signals.credential_unreadable,
    Kind.RESTORED: signals.credential_restored,
    Kind.FAILED: signals.refresh_failed,
    Kind.INTERRUPTED: signals.refresh_interrupted,
    Kind.REBOUND: signals.credential_rebound,
    Kind.CONFIGURED: signals.credential_configured,
}
_UPSTREAM_SIGNALS: dict[str, Signal] = {
    Incident.Kind.DOWN: signals.upstream_down,
    Incident.Kind.MISCONFIGURED: signals.upstream_misconfigured,
}
#: The events that may open or close incidents; those that need a human have opened theirs as they were recorded.
_FOLLOWED = {Kind.FAILED, Kind.LOGGED_OUT, Kind.REFRESHED, Kind.LOGGED_IN, Kind.RESTORED}
_LEVELS: dict[str, int] = {
    Kind.REJECTED: logging.ERROR,
    Kind.LOCKED: logging.ERROR,
    Kind.UNREADABLE: logging.CRITICAL,
    Kind.FAILED: logging.WARNING,
    Kind.INTERRUPTED: logging.WARNING,
}


def announce(event: Event, url: str = "") -> None:
    """Have an event open or close incidents, log it and send its signal; what receivers raise goes no further.

    ``url`` is what was asked, if a refresh failed.
    """
    scope = connections.scope(event._state.db or queries.database())
    token_cache().invalidate(scope, event.upstream, event.account)
    changed = [incident for incident in _follow(event, url) if incident]
    event.incident = next((incident for incident in changed if incident.account), event.incident)
    said = f": {event.reason}" if event.reason else ""
    level = _LEVELS.get(event.kind, logging.INFO)
    logger.log(level, "%s %s%s", full_name(event.upstream, event.account), event.kind, said, extra=_extra(event))
    _SIGNALS[event.kind].send_robust(Credential, credential=event.credential, event=event)
    for incident in changed:
        _announce_change(incident)
    outbox.passed.send_robust(Event, is_written=bool(changed or event.incident))


def _extra(event: Event) -> dict[str, Any]:
    """Return what structured logs have beside the message; ``attempt`` says how often a refresh failed in a row."""
    row = event.credential
    return {
        "upstream": event.upstream,
        "account": event.account,
        "event": event.kind,
        "verdict": event.verdict,
        "status_code": event.status_code,
        "attempt": row.failures if row and event.kind == Kind.FAILED else None,
        "seconds": event.seconds,
    }


def _follow(event: Event, url: str) -> list[Incident | None]:
    """Return the incidents that the event opened or closed if that is to be told, which only one worker does."""
    row, using = event.credential, event._state.db or queries.database()
    if row is None or event.kind not in _FOLLOWED:
        return []
    if event.kind == Kind.REFRESHED and row.has_incident is False and event.state_before == Credential.State.ACTIVE:
        return []  # one that was opened since then will be closed by the next success
    moment = row.now()
    if event.kind == Kind.FAILED:
        needs_human = row.needs_human  # by an answer to a call: that is its incident
        return [] if needs_human else [_recorded(row, using, partial(incidents.note_failure, row, url, moment, using))]
    if event.kind == Kind.LOGGED_OUT:
        return [_recorded(row, using, partial(incidents.close_deserted, row, moment, using))]
    found = _recorded(row, using, partial(incidents.find, row, using)) or []
    return [_recorded(row, using, partial(_close, incident, event, row, moment, using)) for incident in found]


def _close(incident: Incident, event: Event, row: Credential, moment: datetime, using: str) -> Incident | None:
    if incident.is_of_values:
        named = incident.credential
        if named and named != row and not named.needs_human:
            return None  # what others do says nothing of that account
        others = Credential.objects.using(using).filter(upstream=row.upstream).exclude(pk=row.pk)
        if other := misconfigured_among(row.upstream, others):
            incidents.pass_on(incident, other, values_problem(other), using)
            return None
    return incidents.close(incident, event, row, moment, using)


def _recorded(row: Credential, using: str, write: Callable[[], T]) -> T | None:
    # What the refresh brought is stored by now: whatever the database does here must not take it from the caller.
    try:
        return connections.write_with_retry(write, using, connections.BLOCKED_SECONDS)
    except Error as error:
        logger.error("%s: its incident was not recorded: %s", row, type(error).__name__)
        return None


def announce_incident(incident: Incident) -> None:
    """Log an incident that no event has opened, send its signal and have it told."""
    _announce_change(incident)
    outbox.passed.send_robust(Incident, is_written=True)


def _announce_change(incident: Incident) -> None:
    extra = {"upstream": incident.upstream, "account": incident.account, "incident": incident.kind}
    if incident.closed_at:
        logger.info("%s works again", incident.subject, extra={**extra, "event": "incident_closed"})
    else:
        extra["event"] = "incident_opened"
        logger.error("%s %s: %s", incident.subject, incident.kind, incident.reason, extra=extra)
    if not incident.account:
        signal = signals.upstream_recovered if incident.closed_at else _UPSTREAM_SIGNALS[incident.kind]
        signal.send_robust(Incident, incident=incident)


def _close_of_deleted(instance: Credential, using: str, **_: Any) -> None:
    # In the transaction that deletes it.
    incidents.close_deserted(instance, instance.now(), using, is_deleted=True)


post_delete.connect(_close_of_deleted, sender=Credential, dispatch_uid="jwt_upstream.incidents")
