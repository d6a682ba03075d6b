"""A device login at a real small upstream, and time that passes in no time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qs

from tests.support.upstream import Answer, Seen, Upstream

SECRET = "dev-s3cr3t-Code"
CODES = {
    "device_code": SECRET,
    "user_code": "WDJB-MJHT",
    "verification_uri": "https://id.example.com/device",
    "verification_uri_complete": "https://id.example.com/device?user_code=WDJB-MJHT",
    "expires_in": 900,
    "interval": 5,
}
PAIR = {"access_token": "access-9", "refresh_token": "refresh-9", "expires_in": 600}
PENDING = Answer(400, {"error": "authorization_pending"})
SLOW_DOWN = Answer(400, {"error": "slow_down"})
SETTINGS: dict[str, Any] = {
    "BACKEND": "jwt_upstream.backends.OAuth2Backend",
    "OPTIONS": {
        "client_id": "us",
        "client_secret": "s3cret",
        "scope": "read offline",
        "device_path": "device",
        "grant_type": "authorization_code",
    },
}


class Time:
    """A clock that goes on only when somebody sleeps."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def now(self) -> float:
        return 1000.0 + sum(self.slept)


def answering(upstream: Upstream, answers: Iterable[Answer], codes: Any = None) -> None:
    """Let the upstream give these codes, and answer the polls like that; after the last answer with a pair."""
    polls = iter([*answers])
    upstream.answers["/device"] = codes if isinstance(codes, Answer) else Answer(200, codes or CODES)
    upstream.answers["/token"] = lambda _: next(polls, None) or Answer(200, PAIR)


def fields(requests: Iterable[Seen]) -> Iterator[dict[str, str]]:
    """Yield the form fields of requests."""
    for seen in requests:
        yield {name: values[0] for name, values in parse_qs(seen.body.decode()).items()}
