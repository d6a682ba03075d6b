"""Putting failures into words that are fit to be stored and shown: no secret, no URL, no stack."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from requests import Response

# A run of this many characters of the token alphabet is no word of any language that a server speaks to us.
_TOKENLIKE = re.compile(r"[\w.~+/=-]{25,}", re.ASCII)


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a text in which the given secrets, and whatever else looks like a token, are "[…]"."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "[…]")
    return _TOKENLIKE.sub("[…]", text)


def cause(error: BaseException) -> str:
    """Say in a few words why a request got no answer, such as "NewConnectionError: Connection refused"."""
    chain = list(_chain(error))
    strerror = next((e.strerror for e in reversed(chain) if isinstance(e, OSError) and e.strerror), "")
    names = [type(e).__name__ for e in chain if type(e).__name__ not in {"MaxRetryError", "ConnectionError"}]
    name = names[0] if names else type(error).__name__
    if not strerror and len(chain) == 1:
        strerror = str(error)
    return masked(f"{name}: {strerror}"[:200] if strerror else name)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        reason = next((arg for arg in error.args if isinstance(arg, BaseException)), None)
        error = reason or getattr(error, "reason", None) or error.__cause__ or error.__context__
        if not isinstance(error, BaseException):
            return


def retry_after(response: Response, now: datetime, longest: float) -> float | None:
    """Return the seconds which ``Retry-After`` asks for (RFC 9110, section 10.2.3: seconds or a date), bounded."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return min(float(value), longest)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, IndexError, TypeError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max((moment - now).total_seconds(), 0.0), longest)
