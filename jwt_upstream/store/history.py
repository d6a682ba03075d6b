"""The history of a credential: appends an event in the transaction that changes the row."""

from __future__ import annotations

import os
import socket
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from jwt_upstream.fields import DecryptionError
from jwt_upstream.models import Credential, Event
from jwt_upstream.tokens import TokenPair, fingerprint

#: What the columns for reasons hold; an upstream's words, those of two refusals together above all, may be more.
REASON_CHARACTERS = 500
#: Leaves room for the process in ``Event.by``.
_BY_CHARACTERS = 120


@dataclass(frozen=True)
class EventDetails:
    """What an event says beside the change of the row; every field is fit to be stored and shown.

    ``seconds`` is how long the upstream took, ``by`` who asked for it (the process is added).
    """

    reason: str = ""
    verdict: str = ""
    status_code: int | None = None
    seconds: float | None = None
    by: str = ""


def storable(reason: str) -> str:
    """Return a reason that fits its column on every database: at most 500 characters, and no NUL."""
    return reason.replace("\0", " ")[:REASON_CHARACTERS]


def record(after: Credential, before: Credential, using: str, kind: Event.Kind, details: EventDetails) -> Event:
    """Append an event about a row that was ``before`` and is ``after`` now; ``Event.credential`` is ``after``."""
    pair = _readable_pair(after)
    by = f"{details.by[:_BY_CHARACTERS]} ({_worker()})" if details.by else _worker()
    told = replace(details, by=by, reason=storable(details.reason))
    return Event.objects.using(using).create(
        credential=after,
        upstream=after.upstream,
        account=after.account,
        kind=kind,
        state_before=before.state if before.pk else "",
        state=after.state,
        access_fingerprint=fingerprint(pair.access),
        refresh_fingerprint=fingerprint(pair.refresh),
        **asdict(told),
    )


def own_event(row: Credential, using: str, since: datetime) -> Event | None:
    """Return the last event of a credential if this process has recorded it since a moment.

    That is how a commit is recognized whose acknowledgement was lost: of all threads of a process only one has the
    lease.
    """
    event = Event.objects.using(using).filter(credential=row).order_by("-pk").first()
    return event if event and event.at >= since and _worker() in event.by else None


def _worker() -> str:
    return f"{socket.gethostname()[:100]}:{os.getpid()}"


def _readable_pair(row: Credential) -> TokenPair:
    try:
        return row.pair
    except DecryptionError:
        return TokenPair("")
