"""Timestamps, durations, sentences and paragraphs for people, in terminals, mails and the admin."""

from __future__ import annotations

import textwrap
from datetime import UTC, datetime

from django.utils.translation import gettext, gettext_noop, ngettext_lazy

_UNITS = (
    (86400, gettext_noop("%(number)d d")),
    (3600, gettext_noop("%(number)d h")),
    (60, gettext_noop("%(number)d min")),
)
_AHEAD = (
    (86400, ngettext_lazy("in %(number)d day", "in %(number)d days", "number")),
    (3600, ngettext_lazy("in %(number)d hour", "in %(number)d hours", "number")),
    (60, ngettext_lazy("in %(number)d minute", "in %(number)d minutes", "number")),
    (1, ngettext_lazy("in %(number)d second", "in %(number)d seconds", "number")),
)
_AGO = (
    (86400, ngettext_lazy("%(number)d day ago", "%(number)d days ago", "number")),
    (3600, ngettext_lazy("%(number)d hour ago", "%(number)d hours ago", "number")),
    (60, ngettext_lazy("%(number)d minute ago", "%(number)d minutes ago", "number")),
    (1, ngettext_lazy("%(number)d second ago", "%(number)d seconds ago", "number")),
)


def timestamp(at: datetime | None) -> str:
    """Return a time to the second in UTC, so that hosts, logs and mails agree; "-" for none."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S %Z}" if at else "-"


def duration(seconds: float) -> str:
    """Return a duration in the largest unit of which it has at least two, such as "90 s" or "54 min"."""
    for size, text in _UNITS:
        if seconds >= 2 * size:
            return gettext(text) % {"number": seconds // size}
    return gettext("%(number)d s") % {"number": round(max(seconds, 0))}


def relative(moment: datetime, now: datetime) -> str:
    """Return when something was or will be, such as "3 minutes ago", "in 59 minutes" or "just now"."""
    seconds = (moment - now).total_seconds()
    if abs(seconds) < 2:
        return gettext("just now")
    # In the largest unit of which there are at least two, as durations are.
    texts = _AHEAD if seconds > 0 else _AGO
    size, text = next(each for each in texts if abs(seconds) >= 2 * each[0])
    return text % {"number": int(abs(seconds) // size)}


def time_left(expiry: datetime | None, now: datetime) -> str:
    """Return how long a token is still valid: a duration, "expired", or "unknown expiry"."""
    if expiry is None:
        return gettext("unknown expiry")
    return duration((expiry - now).total_seconds()) if expiry > now else gettext("expired")


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


def one_line(text: str) -> str:
    """Return a text of others as one line that every database stores, and that no terminal, log or mail obeys.

    White space, control, bidirectional and other unprintable characters become single spaces.
    """
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def sentence(text: object) -> str:
    """Return a text with the full stop that it lacks."""
    said = str(text)
    return said if said.endswith(("?", ".")) else f"{said}."
