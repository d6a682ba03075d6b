"""How long a server asks its clients to wait: ``Retry-After``, or a header of the server's own."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from requests import Response

from jwt_upstream.tokens import expiry_at


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
