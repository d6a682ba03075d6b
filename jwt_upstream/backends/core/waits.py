"""How long a server asks its clients to wait: by ``Retry-After``, by headers that settings name, or in words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from jwt_upstream.headers import is_header_name
from jwt_upstream.names import alternatives
from jwt_upstream.tokens import expiry_at

#: RFC 6585, section 4.
_TOO_MANY_REQUESTS = 429
#: ASCII digits only.
_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?")
#: What a structured field (RFC 9651) may quote: no comma or semicolon in it separates anything.
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
#: A field that is longer is not read further: each mark that quotes something has the rest searched for another one.
_MAX_FIELD_CHARACTERS = 1000
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


def asked_wait(
    status: int, headers: Mapping[str, str], kinds: Mapping[str, str], now: datetime, max_seconds: float
) -> float | None:
    """Return the seconds to wait before the next request, at most ``max_seconds``; None if the answer doesn't say.

    ``Retry-After`` is read first, then the headers that ``kinds`` names, each with one of ``KINDS``. As servers state
    on every answer when a limit is reset, that is of interest only if the limit is used up: a header of the kind
    "remaining" says 0, or without such a header the status is 429. Moments are compared with the ``Date`` of the same
    answer, so that it doesn't matter if the server's clock is wrong or ours is; only without it they are compared with
    ``now``.
    """
    there = _http_date(headers.get("Date", "")) or now
    wait = _retry_after(headers, there)
    if wait is None and kinds and _is_used_up(status, headers, kinds):
        wait = max(_resets(headers, kinds, there), default=None)
    return None if wait is None else min(max(wait, 0.0), max_seconds)


def stated_wait(message: str, max_seconds: float) -> float | None:
    """Return the seconds to wait by a message such as "try again in 15 minutes", at most ``max_seconds``, or None."""
    wait = _WAIT.search(message) if _AGAIN.search(message) else None
    if wait is None:
        return None
    number = int(wait["number"]) if wait["number"].isdecimal() else 1
    return min(number * next(seconds for unit, seconds in _SECONDS.items() if wait[unit]), max_seconds)


def problems(kinds: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each header whose name or kind is none, and for headers of which none names a time."""
    for name, kind in kinds.items():
        if not is_header_name(name):
            yield f"rate_limit_headers has {name!r}, which is no name of a header"
        if kind not in KINDS:
            yield f"rate_limit_headers has {kind!r} for {name!r}; the kinds are {alternatives(kind, KINDS)}"
    if kinds and not {*kinds.values()} - {_REMAINING}:
        yield "rate_limit_headers must name a header that says when the limit is reset, besides how much of it is left"


def _retry_after(headers: Mapping[str, str], there: datetime) -> float | None:
    """Return the seconds to wait by ``Retry-After`` (RFC 9110, section 10.2.3); some servers add a fraction."""
    value = headers.get("Retry-After", "").strip()
    seconds = _number(value)
    return _until(_http_date(value), there) if seconds is None else seconds


def _is_used_up(status: int, headers: Mapping[str, str], kinds: Mapping[str, str]) -> bool:
    named = (_number(headers.get(name, "")) for name, kind in kinds.items() if kind == _REMAINING)
    left = [each for each in named if each is not None]
    left += [each for name, kind in kinds.items() if kind == _STRUCTURED for each, _ in _limits(headers.get(name, ""))]
    return min(left) == 0 if left else status == _TOO_MANY_REQUESTS


def _resets(headers: Mapping[str, str], kinds: Mapping[str, str], there: datetime) -> Iterator[float]:
    """Yield after how many seconds each limit is reset; ``there`` is the server's time."""
    for name, kind in kinds.items():
        seconds = KINDS.get(kind, _nothing)(headers.get(name, "").strip(), there)
        if seconds is not None:
            yield seconds


def _limits(value: str) -> Iterator[tuple[float, float]]:
    """Yield what is left of each limit that a ``RateLimit`` field lists, and the seconds until it is reset."""
    for item in _QUOTED.sub("", value[:_MAX_FIELD_CHARACTERS]).split(","):
        parameters = dict(part.strip().partition("=")[::2] for part in item.split(";"))
        left, seconds = (_number(parameters.get(name, "")) for name in ("r", "t"))
        if left is not None and seconds is not None:
            yield left, seconds


def _structured(value: str, _: datetime) -> float | None:
    return max((seconds for left, seconds in _limits(value) if left == 0), default=None)


def _seconds(value: str, _: datetime) -> float | None:
    return _number(value)


def _milliseconds(value: str, _: datetime) -> float | None:
    found = _number(value)
    return None if found is None else found / 1000


def _epoch(value: str, there: datetime) -> float | None:
    return _until(expiry_at(_number(value)), there)


def _date(value: str, there: datetime) -> float | None:
    return _until(_http_date(value) or (None if _number(value) is not None else expiry_at(value)), there)


def _until(moment: datetime | None, there: datetime) -> float | None:
    return None if moment is None else (moment - there) / timedelta(seconds=1)


def _nothing(*_: object) -> None:
    """Name no time: the kind of headers that say how much of a limit is left."""


def _number(value: str) -> float | None:
    """Return a number that is written as digits, with a fraction or without, and None for any other text."""
    return float(value) if _NUMBER.fullmatch(value.strip()) else None


def _http_date(value: str) -> datetime | None:
    """Return the moment that a date of HTTP names (RFC 9110, section 5.6.7), None for any other text."""
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, IndexError, TypeError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


_REMAINING, _STRUCTURED = "remaining", "structured"
#: How the value of a header is read: each returns the seconds until the limit is reset, or None.
KINDS: Mapping[str, Callable[[str, datetime], float | None]] = {
    "seconds": _seconds,
    "milliseconds": _milliseconds,
    "epoch": _epoch,
    "date": _date,
    _STRUCTURED: _structured,
    _REMAINING: _nothing,
}
