"""When a server wants to be asked again: ``Retry-After``, and headers of other servers' own."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from requests import Response

from jwt_upstream.tokens import expiry_at


def retry_after(response: Response, now: datetime, longest: float, at: Iterable[str] = ()) -> float | None:
    """Return the seconds which ``Retry-After`` asks for (RFC 9110, section 10.2.3: seconds or a date), bounded.

    ``at`` names headers that hold an epoch second instead, for servers that have those.
    """
    value = response.headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return min(float(value), longest)
    moments = [_date(value), *(expiry_at(response.headers.get(name)) for name in at)]
    moment = next(filter(None, moments), None)
    return None if moment is None else min(max((moment - now).total_seconds(), 0.0), longest)


def _date(value: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, IndexError, TypeError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
