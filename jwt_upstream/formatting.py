"""Timestamps, durations and paragraphs for people, in terminals, mails and the admin."""

from __future__ import annotations

import textwrap
from datetime import UTC, datetime

_UNITS = (("d", 86400), ("h", 3600), ("min", 60))


def timestamp(at: datetime | None) -> str:
    """Return a time to the second in UTC, so that hosts, logs and mails agree; "-" for none."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S %Z}" if at else "-"


def duration(seconds: float) -> str:
    """Return a duration in the largest unit of which it has at least two, such as "90 s" or "54 min"."""
    for unit, size in _UNITS:
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def time_left(expiry: datetime | None, now: datetime) -> str:
    """Return how long a token is still valid: a duration, "expired", or "unknown expiry"."""
    if expiry is None:
        return "unknown expiry"
    return duration((expiry - now).total_seconds()) if expiry > now else "expired"


def paragraph(text: str, width: int) -> str:
    """Return a text wrapped and indented; a command at its end stays on one line, so that it can be copied."""
    words, command, arguments = text.partition("manage.py ")
    unbreakable = words + (command + arguments).replace(" ", "\N{NO-BREAK SPACE}")
    indent = " " * 4
    lines = textwrap.fill(
        unbreakable,
        width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return lines.replace("\N{NO-BREAK SPACE}", " ")
