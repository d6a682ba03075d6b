"""Refreshes on an operator's request, regardless of state and backoff."""

from __future__ import annotations

from functools import partial

from jwt_upstream.fields import DecryptionError
from jwt_upstream.models import Credential
from jwt_upstream.store import EventDetails, queries, transitions
from jwt_upstream.tokens import TokenPair

from .protocol import refresh
from .record import write_or_raise
from .states import by_state, reread, usable


def try_again(credential: Credential, *, by: str = "") -> TokenPair:
    """Refresh with the stored tokens; raises as ``refresh`` does.

    Servers often keep a refresh token good while its user is locked (Symfony does).
    """
    row = reread(credential)
    if row.state == Credential.State.LOGGED_OUT:
        raise by_state(row)
    if not _is_readable(row):
        usable(row)  # records that, and raises
    details = EventDetails("tried again", by=by)
    write_or_raise(partial(transitions.restore, row, queries.database(), details), str(row))
    return refresh(reread(row))


def _is_readable(row: Credential) -> bool:
    try:
        return bool(row.pair)
    except DecryptionError:
        return False
