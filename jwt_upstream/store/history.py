"""The history of a credential: appends an event in the transaction that changes the row."""

from __future__ import annotations

import os
import socket
from dataclasses import asdict, dataclass, replace

from jwt_upstream.fields import DecryptionError
from jwt_upstream.models import Credential, Event
from jwt_upstream.tokens import TokenPair, fingerprint


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


def record(after: Credential, before: Credential, using: str, kind: Event.Kind, details: EventDetails) -> Event:
    """Append an event about a row that was ``before`` and is ``after`` now; ``Event.credential`` is ``after``."""
    pair = _readable_pair(after)
    worker = f"{socket.gethostname()}:{os.getpid()}"
    told = replace(details, by=f"{details.by} ({worker})" if details.by else worker)
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


def _readable_pair(row: Credential) -> TokenPair:
    try:
        return row.pair
    except DecryptionError:
        return TokenPair("")
