"""Moments, spans and paragraphs as people read them in a terminal, a mail or a page; knows nothing of ours."""

from __future__ import annotations

import textwrap
from datetime import UTC, datetime

_UNITS = (("d", 86400), ("h", 3600), ("min", 60))


def timestamp(at: datetime | None) -> str:
    """Return a moment to the second in UTC, so that hosts, logs and mails agree; "-" for none."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S %Z}" if at else "-"


def duration(seconds: float) -> str:
    """Return a span in the largest unit of which it has at least two, such as "90 s" or "54 min"."""
    for unit, size in _UNITS:
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def time_left(end: datetime | None, now: datetime) -> str:
    """Say how long a token still lives: a span, "ended", or "no stated end"."""
    if end is None:
        return "no stated end"
    return duration((end - now).total_seconds()) if end > now else "ended"


def paragraph(text: str, width: int) -> str:
    """Return a text wrapped and indented, except for a command at its end, which is to be copied in one piece."""
    words, command, arguments = text.partition("manage.py ")
    glued = words + (command + arguments).replace(" ", "\N{NO-BREAK SPACE}")
    indent = " " * 4
    lines = textwrap.fill(
        glued, width, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return lines.replace("\N{NO-BREAK SPACE}", " ")
