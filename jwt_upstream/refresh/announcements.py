"""Announces what was committed: the log line and the signal of every event, and of an upstream in trouble."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.db import Error
from django.dispatch import Signal

from jwt_upstream import signals
from jwt_upstream.models import Credential, Event, Outage
from jwt_upstream.store import incidents

from .token_cache import token_cache

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
}
_LEVELS: dict[str, int] = {
    Kind.REJECTED: logging.ERROR,
    Kind.LOCKED: logging.ERROR,
    Kind.UNREADABLE: logging.CRITICAL,
    Kind.FAILED: logging.WARNING,
    Kind.INTERRUPTED: logging.WARNING,
}


def announce(event: Event) -> None:
    """Log an event and send its signal; what receivers raise is logged by Django and goes no further."""
    token_cache().invalidate()
    said = f": {event.reason}" if event.reason else ""
    level = _LEVELS.get(event.kind, logging.INFO)
    logger.log(level, "%s/%s %s%s", event.upstream, event.account, event.kind, said)
    _SIGNALS[event.kind].send_robust(Credential, credential=event.credential, event=event)


def announce_outage(upstream: str, kind: str, reason: str, using: str) -> None:
    """Record that an upstream is down or misconfigured, and announce it once."""
    if outage := _recorded(upstream, lambda: incidents.note(upstream, kind, reason, using)):
        logger.error("%s %s: %s", upstream, kind, reason)
        signal = signals.upstream_misconfigured if kind == Outage.Kind.MISCONFIGURED else signals.upstream_down
        signal.send_robust(Outage, outage=outage)


def announce_recovery(upstream: str, using: str) -> None:
    """Record that an upstream works; announce it if its outage was announced."""
    if outage := _recorded(upstream, lambda: incidents.end(upstream, using)):
        logger.info("%s works again", upstream)
        signals.upstream_recovered.send_robust(Outage, outage=outage)


def _recorded(upstream: str, write: Callable[[], Outage | None]) -> Outage | None:
    # What the refresh brought is stored by now: whatever the database does here must not take it from the caller.
    try:
        return write()
    except Error as error:
        logger.error("%s: its outage was not recorded: %s", upstream, type(error).__name__)
        return None
