"""How long a server asks its clients to wait: by ``Retry-After``, by a header of its own, or in words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from requests import Response

from jwt_upstream.tokens import expiry_at

# In English, and in the other languages in which Symfony says this (translations/security.*.xlf).
_AGAIN = re.compile(
    r"\b(again|retry|wait|réessayer|noch einmal|erneut|de nuevo|riprova|opnieuw|ponownie|novamente)\b", re.IGNORECASE
)
_WAIT = re.compile(
    r"\b(?P<number>\d{1,6}|an?|one|une?|eine[rm]?|u[mn]|num|een) ?"
    r"(?:(?P<s>s|sec|se[ck][ou]nd\w*|segundos?)|(?P<min>min|minu\w+)|(?P<h>h|hours?|heures?|stunden?|horas?|or[ae]|uur))\b",
    re.IGNORECASE,
)
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}


def retry_after(
    response: Response, now: datetime, max_seconds: float, epoch_headers: Iterable[str] = ()
) -> float | None:
    """Return the seconds to wait, at most ``max_seconds``, by ``Retry-After`` (RFC 9110, section 10.2.3) or None.

    Without that header, those of ``epoch_headers`` are read, which hold the epoch second at which to retry.
    """
    value = response.headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return min(float(value), max_seconds)
    moments = [_date(value), *(expiry_at(response.headers.get(name)) for name in epoch_headers)]
    moment = next(filter(None, moments), None)
    return None if moment is None else min(max((moment - now).total_seconds(), 0.0), max_seconds)


def _date(value: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, IndexError, TypeError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def stated_wait(message: str, max_seconds: float) -> float | None:
    """Return the seconds to wait by a message such as "try again in 15 minutes", at most ``max_seconds``, or None."""
    wait = _WAIT.search(message) if _AGAIN.search(message) else None
    if wait is None:
        return None
    number = int(wait["number"]) if wait["number"].isdecimal() else 1
    return min(number * next(seconds for unit, seconds in _SECONDS.items() if wait[unit]), max_seconds)
