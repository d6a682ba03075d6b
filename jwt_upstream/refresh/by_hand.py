"""What operators ask for: to refresh regardless of state and backoff, to reject tokens, to encrypt them anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from jwt_upstream import recorded
from jwt_upstream.backends import get_backend
from jwt_upstream.binding import Change, described
from jwt_upstream.fields import DecryptionError
from jwt_upstream.languages import in_english
from jwt_upstream.models import Credential, Event
from jwt_upstream.store import EventDetails, queries, rekeying, transitions
from jwt_upstream.tokens import TokenPair
from jwt_upstream.tracebacks import without_variables

from .call import can_replace
from .protocol import refresh
from .record import write_or_raise
from .states import by_state, changed_settings, check_bound, check_readable, not_logged_in

#: How many rows are read at once while tokens are encrypted anew.
_BATCH_ROWS = 500
_MOST_NAMES = 20


@without_variables
def try_again(credential: Credential, *, by: str = "") -> TokenPair:
    """Refresh with the stored tokens; raises as ``refresh`` does.

    Servers often keep a refresh token good while its user is locked (Symfony does).
    """
    details = EventDetails(recorded.TRIED_AGAIN, by=by)
    event = write_or_raise(partial(_restore, credential, details), str(credential))
    # An event loses its credential when that is deleted; this one was recorded with it just now.
    return refresh(event.credential)  # type: ignore[arg-type]


def _restore(credential: Credential, details: EventDetails) -> Event:
    while True:
        row = _there(credential)
        if row.state == Credential.State.LOGGED_OUT:
            raise by_state(row)
        check_readable(row)
        backend = get_backend(row.upstream, row)
        if not can_replace(backend, row):
            check_bound(row, backend)
        if event := transitions.restore(row, queries.database(), details):
            return event


def _there(credential: Credential) -> Credential:
    # For the connection that writes: a calling transaction may see an old snapshot, in which no row ever moves on.
    row = queries.reread(credential, queries.database())
    if row is None:
        raise not_logged_in(credential.upstream, credential.account)
    return row


def mark_rejected(credential: Credential, reason: str, *, by: str = "") -> None:
    """Have every call raise CredentialRejected until somebody logs in, tries again or stores other tokens.

    For tokens that the upstream still takes but must not be used, such as stolen ones. Nothing is sent, the tokens
    stay, and the admins are told. Raises CredentialError if the credential needs a human already.
    """
    details = EventDetails(recorded.MARKED_REJECTED % {"reason": reason}, "rejected", by=by)
    write_or_raise(partial(_mark_rejected, credential, details), str(credential))


def _mark_rejected(credential: Credential, details: EventDetails) -> Event:
    while True:
        row = _there(credential)
        if row.needs_human:
            raise by_state(row)
        check_readable(row)
        if event := transitions.mark(row, Credential.State.REJECTED, queries.database(), details):
            return event


def rebind(credential: Credential, *, by: str = "") -> list[Change]:
    """Bind the stored tokens to what settings name now, on a person's word; return what has changed, [] if nothing.

    Nothing is sent. What is confirmed is the change as ``credential`` was read: if the row is bound to something else
    by now, nothing is written, and [] is returned. Raises UpstreamNotConfigured, and RefreshBlocked or
    RefreshUnavailable if the row can't be written.
    """
    backend = get_backend(credential.upstream, credential)
    found = changed_settings(credential, backend)
    if not found:
        return []
    with in_english():
        details = EventDetails(described(found), by=by)
    is_bound = write_or_raise(partial(_rebind, credential, backend.binding, details), str(credential))
    return found if is_bound else []


def _rebind(credential: Credential, binding: Mapping[str, str], details: EventDetails) -> Event | None:
    while (row := _there(credential)).obtained_for == credential.obtained_for:
        if event := transitions.rebind(row, binding, queries.database(), details):
            return event
    return None


@dataclass
class Rekeyed:
    """How many credentials were seen so far, and by which keys their tokens are encrypted now.

    ``by_key`` counts by the number of the last key that a credential needs, 0 being the first; ``old`` are those that
    the first key doesn't encrypt or that aren't bound to their row. ``names`` has some of those that can't be read.
    """

    seen: int = 0
    renewed: int = 0
    old: int = 0
    by_key: Counter[int] = field(default_factory=Counter)
    unreadable: int = 0
    names: list[str] = field(default_factory=list)

    def count(self, row: Credential) -> None:
        """Count a credential as it is stored now."""
        self.seen += 1
        try:
            key = rekeying.last_key(row)
        except DecryptionError:
            self.unreadable += 1
            self.names += [str(row)] if len(self.names) < _MOST_NAMES else []
            return
        if key is not None:
            self.by_key[key] += 1
            self.old += not rekeying.is_current(row)


def rekey(*, check: bool = False) -> Iterator[Rekeyed]:
    """Encrypt all tokens with the first key, bound to their rows, while the site runs; ``check`` only counts.

    Yields the counts after each batch of rows. Whoever breaks off and begins again passes over what is done. A row
    that is being refreshed is left as it is, and counted as old if it still is.
    """
    using, counts, last = queries.database(), Rekeyed(), 0
    while rows := rekeying.rows_after(last, _BATCH_ROWS, using):
        last = rows[-1].pk
        for row in rows:
            counts.count(row if check else _renewed(row, using, counts))
        yield counts


def _renewed(row: Credential, using: str, counts: Rekeyed) -> Credential:
    try:
        is_written = not rekeying.is_current(row) and rekeying.reseal(row, using)
    except DecryptionError:
        return row
    counts.renewed += is_written
    return (queries.reread(row, using) or row) if is_written else row
