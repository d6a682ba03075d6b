"""A credential's history as a timeline, in which what repeats itself is one entry."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from jwt_upstream.models import Credential, Event
from jwt_upstream.recorded import translated

from . import cells

#: A credential that is refreshed all the time must not push what matters off the page.
_EVENTS = 400
_ENTRIES = 14


@dataclass(frozen=True)
class Entry:
    """An event, or several of one kind for one reason in a row; each field is as it is shown.

    ``when`` and ``took`` are of the newest; ``first`` is when the oldest happened, "" if there is one only.
    """

    badge: str
    when: str
    times: int
    first: str
    took: str
    reason: str
    by: str


def timeline(credential: Credential) -> list[Entry]:
    """Return the newest entries, the newest first, by one query."""
    newest = Event.objects.filter(upstream=credential.upstream, account=credential.account)[:_EVENTS]
    runs = [list(run) for _, run in groupby(newest, key=lambda event: (event.kind, event.reason))]
    return [_entry(run, credential) for run in runs[:_ENTRIES]]


def _entry(run: list[Event], credential: Credential) -> Entry:
    newest, now = run[0], credential.now()
    return Entry(
        cells.of_event(newest),
        cells.moment(newest.at, now),
        len(run),
        cells.moment(run[-1].at, now) if len(run) > 1 else "",
        cells.milliseconds(newest.seconds),
        translated(newest.reason),
        newest.by,
    )
