"""Moments, spans and paragraphs as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from jwt_upstream.formatting import duration, one_line, paragraph, relative, time_left, timestamp

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_moment() -> None:
    """A moment is told in UTC, whatever zone it is in."""
    assert timestamp(NOW.astimezone(timezone(timedelta(hours=5)))) == "2030-01-02 03:04:05 UTC"
    assert timestamp(None) == "-"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0 s"), (0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"), (172800, "2 d")],
)
def test_span(seconds: float, text: str) -> None:
    """A span has at least two of its unit, so that it is never far off."""
    assert duration(seconds) == text


def test_left() -> None:
    """What is left is a span, nothing, or unknown."""
    assert time_left(NOW + timedelta(hours=3), NOW) == "3 h"
    assert time_left(NOW, NOW) == "expired"
    assert time_left(None, NOW) == "unknown expiry"


def test_paragraph() -> None:
    """A paragraph is wrapped, but a command in it stays in one piece, to be copied."""
    text = "unlock the account, or log in: manage.py upstream_login crm --account tenant-42"
    assert paragraph(text, 40) == (
        "    unlock the account, or log in:\n    manage.py upstream_login crm --account tenant-42"
    )


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "just now"),
        (-1.9, "just now"),
        (-2, "2 seconds ago"),
        (-119, "119 seconds ago"),
        (-185, "3 minutes ago"),
        (3599, "in 59 minutes"),
        (7200, "in 2 hours"),
        (-5 * 86400, "5 days ago"),
    ],
)
def test_relative(seconds: float, said: str) -> None:
    """A time is told from now, in the largest unit of which there are at least two."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert relative(now + timedelta(seconds=seconds), now) == said


def test_one_line() -> None:
    """What others say is one line that no terminal, log or mail obeys, and that every database stores."""
    assert one_line("a\0b\r\nBcc: c\u202e \x1b[31md\ud800 \t") == "a b Bcc: c [31md"
    assert one_line("Zoë said: 日本") == "Zoë said: 日本"
