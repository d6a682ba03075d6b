"""The route of a call through the parts of the package: short, and with the settings resolved once."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import jwt_upstream
from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import AccountLocked
from jwt_upstream.store import outbox
from tests.support.upstream import Answer, Upstream
from tests.test_architecture import WORDS

PACKAGE = Path(jwt_upstream.__file__).parent


class Route:
    """The named functions of the package that were called, in order, in whatever thread."""

    def __init__(self) -> None:
        self.called: list[tuple[str, str]] = []
        #: By thread: which of two that run at the same time is ahead is chance.
        self._parts: dict[threading.Thread, list[str]] = {}

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        path, name = Path(frame.f_code.co_filename), frame.f_code.co_name
        if event == "call" and path.is_relative_to(PACKAGE) and not name.startswith("<"):
            part = path.relative_to(PACKAGE).with_suffix("").parts[0]
            self.called.append((part, name))
            if part not in WORDS:
                self._parts.setdefault(threading.current_thread(), []).append(part)

    @property
    def moves(self) -> int:
        """How often a thread's route goes from one part to another; the words are everywhere and don't count."""
        return sum(one != other for parts in self._parts.values() for one, other in pairwise(parts))

    def count(self, function: str) -> int:
        """Return how often a function was called."""
        return sum(name == function for _, name in self.called)


@contextmanager
def traced() -> Iterator[Route]:
    """Trace this thread and those that are started meanwhile."""
    route = Route()
    threading.setprofile(route)
    sys.setprofile(route)
    try:
        yield route
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def test_warm_call(client: UpstreamClient) -> None:
    """A call with a cached token visits client, backends and refresh, in at most 15 moves, and no row."""
    client.get("orders/")
    with traced() as route:
        assert client.get("orders/").status_code == 200
    assert {part for part, _ in route.called} - set(WORDS) == {"client", "backends", "refresh"}
    assert route.moves <= 15
    assert route.count("get_backend") <= 2


def test_call_that_is_refreshed(client: UpstreamClient, upstream: Upstream) -> None:
    """A 401, the refresh and the same call again take at most 59 moves, and the backend is resolved twice at most."""
    client.get("orders/")
    upstream.expire()
    with traced() as route:
        assert client.get("orders/").status_code == 200
    assert upstream.refreshes == 1
    assert route.moves <= 59
    assert route.count("get_backend") <= 2


def test_call_of_a_locked_account(client: UpstreamClient, upstream: Upstream) -> None:
    """Judging an answer that says "locked", and recording it, resolves no settings again."""
    outbox.passed.disconnect(dispatch_uid="jwt_upstream.alerts")  # telling goes its own way, in threads of its own
    upstream.answers["/orders/"] = Answer(401, {"message": "Account is disabled."})
    with traced() as route, pytest.raises(AccountLocked):
        client.get("orders/")
    assert route.moves <= 53
    assert route.count("get_backend") <= 2
