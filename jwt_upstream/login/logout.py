"""Forgetting the tokens of an account on purpose."""

from __future__ import annotations

from functools import partial

from jwt_upstream.refresh import announce, write_or_raise
from jwt_upstream.store import EventDetails, queries, transitions


def log_out(upstream: str, account: str, *, by: str = "") -> None:
    """Forget the tokens; calls raise NotLoggedIn until the next login. The upstream is not told."""
    using, details = queries.database(), EventDetails(by=by)
    while row := queries.find(upstream, account, using):
        event = write_or_raise(partial(transitions.log_out, row, using, details), str(row))
        if event:
            announce(event)
            return
