"""Timestamps, durations, sentences and paragraphs for people, in terminals, mails and the admin."""

from __future__ import annotations

import textwrap
from datetime import UTC, datetime

_UNITS = (("d", 86400), ("h", 3600), ("min", 60))
_LONG_UNITS = ((86400, "days"), (3600, "hours"), (60, "minutes"), (1, "seconds"))


def timestamp(at: datetime | None) -> str:
    """Return a time to the second in UTC, so that hosts, logs and mails agree; "-" for none."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S %Z}" if at else "-"


def duration(seconds: float) -> str:
    """Return a duration in the largest unit of which it has at least two, such as "90 s" or "54 min"."""
    for unit, size in _UNITS:
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def relative(moment: datetime, now: datetime) -> str:
    """Return when something was or will be, such as "3 minutes ago", "in 59 minutes" or "just now"."""
    seconds = (moment - now).total_seconds()
    if abs(seconds) < 2:
        return "just now"
    # The largest unit of which there are at least two, so that none is ever singular.
    size, unit = next(each for each in _LONG_UNITS if abs(seconds) >= 2 * each[0])
    span = f"{abs(seconds) // size:.0f} {unit}"
    return f"in {span}" if seconds > 0 else f"{span} ago"


def time_left(expiry: datetime | None, now: datetime) -> str:
    """Return how long a token is still valid: a duration, "expired", or "unknown expiry"."""
    if expiry is None:
        return "unknown expiry"
    return duration((expiry - now).total_seconds()) if expiry > now else "expired"


def paragraph(text: str, width: int, indent: str = " " * 4) -> str:
    """Return a text wrapped and indented; a command at its end stays on one line, so that it can be copied."""
    words, command, arguments = text.partition("manage.py ")
    unbreakable = words + (command + arguments).replace(" ", "\N{NO-BREAK SPACE}")
    lines = textwrap.fill(
        unbreakable,
        width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return lines.replace("\N{NO-BREAK SPACE}", " ")


def sentence(text: object) -> str:
    """Return a text with the full stop that it lacks."""
    said = str(text)
    return said if said.endswith("?") else f"{said}."
