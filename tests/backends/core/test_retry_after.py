"""How long a server asks to wait before the next attempt."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from jwt_upstream.backends.core import stated_wait
from tests.support.exchanges import refreshed
from tests.support.upstream import Answer, Upstream


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("30", 30), ("99999", 3600), ("in 100 s", 100), ("Mon, 23 Nov 2020 09:00:00 -0000", 0), ("soon", None)],
)
def test_retry_after(server: Upstream, value: str, seconds: int | None) -> None:
    """Retry-After counts in seconds and as a date, within bounds."""
    if value == "in 100 s":
        value = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    server.answers["/refresh"] = Answer(429, {}, {"Retry-After": value})
    found = refreshed(server).retry_after
    assert (found is None) if seconds is None else (seconds - 60 <= (found or 0.0) <= seconds)


def test_reset_of_a_rate_limit(server: Upstream) -> None:
    """Some servers name the epoch second at which to ask again, in a header of their own."""
    reset = str(int(time.time()) + 100)
    server.answers["/refresh"] = Answer(429, {}, {"X-Reset": reset})
    assert 90 < (refreshed(server, retry_at_headers=["X-Reset"]).retry_after or 0) <= 100
    server.answers["/refresh"] = Answer(404, {}, {"X-Reset": reset})
    assert refreshed(server, retry_at_headers=["X-Reset"]).retry_after is None


@pytest.mark.parametrize(
    "value",
    ["-5", "1.5", "", "²", "Mon, 01 Jan 99999 00:00:00 GMT", f"Mon, 01 Jan 2024 00:00:00 +{'9' * 30}", "9" * 5000],
)
def test_strange_retry_after(server: Upstream, value: str) -> None:
    """A Retry-After that can't be meant is none, or the longest that is waited."""
    server.answers["/refresh"] = Answer(429, {}, {"Retry-After": value.encode().decode("latin-1")})
    assert refreshed(server).retry_after in {None, 3600.0}


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("Too many failed login attempts, please try again in 1 minute.", 60),
        ("Your account is locked due to multiple failed login attempts. Please try again after 5 minute(s)", 300),
        ("Rate limit exceeded, retry in 30s", 30),
        ("Please wait 20 seconds", 20),
        ("Try again in an hour.", 3600),
        ("Try again in 99 hours.", 3600),
        ("Zu viele fehlgeschlagene Anmeldeversuche, bitte versuchen Sie es in einer Minute noch einmal.", 60),
        ("Try again later.", None),
        ("Try again in a few minutes.", None),
        ("The request took longer than 30 seconds.", None),
    ],
)
def test_stated_in_words(message: str, seconds: float | None) -> None:
    """A message may say how long to wait, at most the bound; a number in any other message means nothing."""
    assert stated_wait(message, 3600.0) == seconds
