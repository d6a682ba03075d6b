"""Forgetting the tokens of an account on purpose."""

from __future__ import annotations

from functools import partial

from jwt_upstream.models import Event
from jwt_upstream.refresh import write_or_raise
from jwt_upstream.store import EventDetails, queries, transitions


def log_out(upstream: str, account: str, *, by: str = "") -> None:
    """Forget the tokens; calls raise NotLoggedIn until the next login. The upstream is not told."""
    write_or_raise(partial(_forget, upstream, account, EventDetails(by=by)), f"{upstream}/{account}")


def _forget(upstream: str, account: str, details: EventDetails) -> Event | None:
    # On the connection that writes, not on the caller's: at REPEATABLE READ its snapshot would show the same row for
    # ever, however often the row has moved on.
    using = queries.database()
    while row := queries.find(upstream, account, using):
        if event := transitions.log_out(row, using, details):
            return event
    return None
