"""The history of a credential: appends an event in the transaction that changes the row."""

from __future__ import annotations

import os
import socket
import threading
from dataclasses import dataclass, replace

from jwt_upstream.fields import DecryptionError
from jwt_upstream.formatting import one_line
from jwt_upstream.models import Credential, Event
from jwt_upstream.tokens import TokenPair, fingerprint

from . import statements

#: What the columns for reasons hold; an upstream's words, those of two refusals together above all, may be more.
REASON_CHARACTERS = 500
#: Leaves room for the process in ``Event.by``.
_BY_CHARACTERS = 120


class _Recorded(threading.local):
    """The event that this thread recorded last, whether its transaction was committed or not."""

    event: Event | None = None


_recorded = _Recorded()


@dataclass(frozen=True)
class EventDetails:
    """What an event says beside the change of the row; what is stored of it is made fit to be shown.

    ``seconds`` is how long the upstream took, ``by`` who asked for it (the process is added).
    """

    reason: str = ""
    verdict: str = ""
    status_code: int | None = None
    seconds: float | None = None
    by: str = ""


def storable(reason: str) -> str:
    """Return a reason that fits its column on every database: at most 500 characters in one line."""
    return one_line(reason)[:REASON_CHARACTERS]


def record(
    after: Credential,
    before: Credential,
    using: str,
    kind: Event.Kind,
    details: EventDetails,
    pair: TokenPair | None = None,
) -> Event:
    """Append an event about a row that was ``before`` and is ``after`` now; ``Event.credential`` is ``after``.

    ``pair`` saves decrypting what ``after`` holds.
    """
    pair = pair or _readable_pair(after)
    # Whoever calls may have the name from a user: no NUL, no line break, nor what turns the direction of what follows.
    by = f"{one_line(details.by)[:_BY_CHARACTERS]} ({_worker()})" if details.by else _worker()
    told = replace(details, by=by, reason=storable(details.reason))
    event = Event(
        credential=after,
        upstream=after.upstream,
        account=after.account,
        kind=kind,
        state_before=before.state if before.pk else "",
        state=after.state,
        access_fingerprint=fingerprint(pair.access),
        refresh_fingerprint=fingerprint(pair.refresh),
        **vars(told),
    )
    statements.insert(event, using)
    _recorded.event = event
    return event


def forget_recorded() -> None:
    """Begin a write, of which this thread has recorded no event so far."""
    _recorded.event = None


def committed_after_all(using: str) -> Event | None:
    """Return the event that this thread recorded in a write that failed, if only the acknowledgement was lost."""
    event = _recorded.event
    if event is None:
        return None
    # Databases give the key of what was rolled back to the next event.
    same = Event.objects.using(using).filter(pk=event.pk, kind=event.kind, at=event.at, by=event.by)
    return event if same.exists() else None


def _worker() -> str:
    return f"{socket.gethostname()[:100]}:{os.getpid()}"


def _readable_pair(row: Credential) -> TokenPair:
    try:
        return row.pair
    except DecryptionError:
        return TokenPair("")
