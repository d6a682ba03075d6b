"""Writes a change on a connection of its own and announces it after the commit."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from django.db import Error

from jwt_upstream.conf import conf
from jwt_upstream.exceptions import RefreshBlocked, RefreshUnavailable
from jwt_upstream.models import Event, Incident
from jwt_upstream.store import connections, is_away, is_locked, queries

from .announcements import announce, announce_incident

T = TypeVar("T")

logger = logging.getLogger("jwt_upstream")

#: How long a caller waits for the database to take what was observed. It has its answer, and may have waited for a
#: refresh before.
OBSERVED_SECONDS = 2.0


def record_if_possible(write: Callable[[], T | None]) -> T | None:
    """Write what was observed; None, with a log line, if the database has not taken it within OBSERVED_SECONDS.

    The caller gets its error all the same, and the next call observes the same and records it.
    """
    seconds = min(OBSERVED_SECONDS, conf.wait_seconds)
    try:
        return connections.run_on_own_connection(queries.database(), write, _announce, seconds=seconds)
    except Error as error:
        if not is_away(error):
            raise
        log_unrecorded(error)
        return None


def log_unrecorded(error: Exception) -> None:
    """Log that what was observed is not stored, since the database can't be used."""
    logger.warning("not recorded: %s", type(error).__name__)


def write_or_raise(write: Callable[[], T], what: str) -> T:
    """Write what somebody asked for, and announce it; raises RefreshBlocked if the calling transaction holds the row.

    Raises RefreshUnavailable while the database is away.
    """
    using = queries.database()
    in_transaction = connections.in_transaction(using)
    try:
        return connections.run_on_own_connection(using, write, _announce)
    except Error as error:
        if not is_away(error):
            raise
        if not in_transaction or not is_locked(error):
            raise database_away(what, error) from None
        text = f"{what}: not stored: the calling transaction, or another one, holds a lock on its row; commit first"
        raise RefreshBlocked(text, reason=type(error).__name__) from None


def _announce(written: object) -> None:
    # In the thread that has written it: the caller may have given up when the database lets the commit through.
    if isinstance(written, Event):
        announce(written)
    elif isinstance(written, Incident):
        announce_incident(written)


def database_away(what: str, error: Exception) -> RefreshUnavailable:
    """Return the error for callers while the database can't be used: whatever the driver says, it is this class."""
    is_only_locked = isinstance(error, Error) and is_locked(error)
    cause = "another transaction holds a lock on it" if is_only_locked else "the database is away"
    reason = f"{cause} ({type(error).__name__})"
    return RefreshUnavailable(f"{what}: {reason}; try again", reason=reason, retry_after=1.0)
