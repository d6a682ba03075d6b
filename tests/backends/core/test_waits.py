"""How long a server asks to wait before the next request: by Retry-After, by headers of its own, or in words."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from jwt_upstream.backends import Auth0Backend, Backend, GitHubAppBackend, GitHubBackend, HubSpotBackend, OktaBackend
from jwt_upstream.backends.core import asked_wait, stated_wait, waits
from tests.support.exchanges import refreshed
from tests.support.upstream import Answer, Upstream

#: What time it is here; servers' clocks may say something else.
NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
EPOCH = int(NOW.timestamp())
LEFT = {"X-Left": "remaining", "X-Reset": "seconds"}


def wait(status: int, headers: dict[str, str], kinds: dict[str, str], most: float = 3600) -> float | None:
    return asked_wait(status, headers, kinds, NOW, most)


@pytest.mark.parametrize(
    ("kind", "value", "seconds"),
    [
        ("seconds", "30", 30),
        ("seconds", "2.5", 2.5),
        ("milliseconds", "1500", 1.5),
        ("epoch", str(EPOCH + 30), 30),
        ("epoch", str((EPOCH + 30) * 1000), 30),
        ("epoch", str(EPOCH - 30), 0),
        ("epoch", "9" * 5000, None),
        ("date", "Fri, 27 Nov 2026 12:00:30 GMT", 30),
        ("date", "2026-11-27T12:00:30Z", 30),
        ("date", str(EPOCH), None),
        ("structured", '"default";r=0;t=30', 30),
        ("structured", r'"a,b;r=5\"";r=0;t=7, "day" ; r=0 ; t=90;pk=:cHsdsRa894==:', 90),
        ("structured", '"minute";r=3;t=30, "day";r=0;t=40', 40),
        ("structured", '"default";r=5;t=30', None),
        ("structured", '"default";r=0', None),
        ("structured", '"' + r"\"" * 30_000 + ";r=0;t=30", None),
        ("seconds", "", None),
        ("seconds", "-3", None),
        ("seconds", "soon", None),
        ("seconds", "99999", 3600),
        ("remaining", "0", None),
        ("unheard-of", "30", None),
    ],
)
def test_kinds(kind: str, value: str, seconds: float | None) -> None:
    """Each kind is read in its own way, within bounds, and nonsense is nothing."""
    assert wait(429, {"X-Reset": value}, {"X-Reset": kind}) == seconds


def test_retry_after_comes_first() -> None:
    """What the server asks of this very request counts, fractions included, not when its limit is reset."""
    reset = {"X-Reset": "90"}
    assert wait(429, {"Retry-After": "2.0", **reset}, {"X-Reset": "seconds"}) == 2
    assert wait(200, {"Retry-After": "9" * 400}, {}, math.inf) == math.inf


@pytest.mark.parametrize("ahead", [-7200, 7200])
def test_clocks_that_differ(ahead: int) -> None:
    """Moments are compared with the answer's own date, so that it doesn't matter whose clock is wrong."""
    there = NOW + timedelta(seconds=ahead)
    later = there + timedelta(seconds=30)
    form = "%a, %d %b %Y %H:%M:%S GMT"
    dated = {"Date": f"{there:{form}}"}
    assert wait(429, {**dated, "X-Reset": str(EPOCH + ahead + 30)}, {"X-Reset": "epoch"}) == 30
    assert wait(503, {**dated, "Retry-After": f"{later:{form}}"}, {}) == 30


@pytest.mark.parametrize(
    ("status", "left", "seconds"),
    [
        *((429, None, 30), (429, "0", 30), (403, "0", 30), (503, "0", 30), (429, "few", 30)),
        *((403, None, None), (503, None, None), (429, "7", None), (403, "7", None), (403, "few", None)),
    ],
)
def test_limit_that_is_used_up(status: int, left: str | None, seconds: float | None) -> None:
    """Servers state on every answer when a limit is reset; that counts only if nothing is left of it."""
    assert wait(status, {"X-Reset": "30"} | ({"X-Left": left} if left else {}), LEFT) == seconds


def test_several_limits() -> None:
    """If one of several limits is used up, the longest wait is kept."""
    kinds = {**LEFT, "X-Day-Left": "remaining", "X-Day-Reset": "seconds"}
    assert wait(429, {"X-Left": "4", "X-Reset": "5", "X-Day-Left": "0", "X-Day-Reset": "50"}, kinds) == 50


def test_refresh(server: Upstream) -> None:
    """A refresh that is throttled waits for the reset; one that failed for another reason doesn't."""
    options = {"rate_limit_headers": {"X-Reset": "epoch"}}
    reset = {"X-Reset": str(int(time.time()) + 100)}
    server.answers["/refresh"] = Answer(429, {}, reset)
    assert 90 < (refreshed(server, **options).retry_after or 0) <= 101
    server.answers["/refresh"] = Answer(404, {}, reset)
    assert refreshed(server, **options).retry_after is None


@pytest.mark.parametrize(
    ("backend", "headers"),
    [(kind, {"X-RateLimit-Reset": str(EPOCH + 9)}) for kind in (GitHubBackend, GitHubAppBackend, Auth0Backend)]
    + [
        (OktaBackend, {"X-Rate-Limit-Reset": str(EPOCH + 9), "X-Rate-Limit-Remaining": "0"}),
        (
            HubSpotBackend,
            {"X-HubSpot-RateLimit-Interval-Milliseconds": "9000", "X-HubSpot-RateLimit-Remaining": "0"},
        ),
    ],
)
def test_vendors(backend: type[Backend], headers: dict[str, str]) -> None:
    """Backends know the headers that their vendors document, and take an answer of another trouble for none."""
    kinds = dict(backend.rate_limit_headers)
    left = next(name for name, kind in kinds.items() if kind == "remaining")
    assert wait(429, headers, kinds) == 9
    assert wait(403, {**headers, left: "4999"}, kinds) is None


@pytest.mark.parametrize(
    ("kinds", "problem"),
    [
        ({"X-Reset": "minutes"}, "'minutes' for 'X-Reset'; the kinds are seconds, milliseconds, epoch, date"),
        ({"X Reset": "seconds"}, "'X Reset', which is no name of a header"),
        ({7: "seconds"}, "7, which is no name of a header"),
        ({"X-Left": "remaining"}, "must name a header that says when"),
        (["X-Reset"], "must be a dict, each a string"),
        ({"X-Reset": 7}, "must be a dict, each a string"),
    ],
)
def test_wrong_settings(kinds: object, problem: str) -> None:
    """The system check names what is wrong with the option."""
    (told,) = Backend("up", "https://up.example.com/", rate_limit_headers=kinds).check()
    assert "rate_limit_headers" in told
    assert problem in told


def test_right_settings() -> None:
    """Any kind may be named, and none."""
    for kinds in ({}, {f"X-{kind}": kind for kind in waits.KINDS}):
        assert not [*Backend("up", "https://up.example.com/", rate_limit_headers=kinds).check()]


# -- Retry-After, and words


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


@pytest.mark.parametrize(
    "value",
    ["-5", "1e3", "", "²", "Mon, 01 Jan 99999 00:00:00 GMT", f"Mon, 01 Jan 2024 00:00:00 +{'9' * 30}", "9" * 5000],
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
