"""What is kept for whoever needs one next, for how long, and how many."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import count

import pytest

from jwt_upstream.idle import Idle
from tests.support.workers import until


class Kept:
    """An ``Idle`` of numbers, with those that it has closed."""

    def __init__(self, seconds: float = 60.0, most_seconds: float = 60.0, most: int = 2) -> None:
        self.closed: list[int] = []
        self.idle: Idle[int] = Idle(self.closed.append, seconds, most_seconds, most)
        self._numbers = count()

    def use(self, key: str = "a", *, is_usable: bool = True, is_keepable: bool = True) -> int:
        make = self._numbers.__next__
        with self.idle.borrowed(key, make, lambda _: is_usable, lambda _: is_keepable) as number:
            return number


@pytest.fixture
def kept() -> Iterator[Kept]:
    kept = Kept()
    yield kept
    kept.idle.close()


def test_frequent_use(kept: Kept) -> None:
    """The first leaves nothing behind; from the second on the same one is used again, under its own key only."""
    assert [kept.use() for _ in range(4)] == [0, 1, 1, 1]
    assert kept.use("b") == 2
    assert (kept.use(), kept.closed, kept.idle.values()) == (1, [0], [2, 1])


def test_rare_use() -> None:
    """What is wanted less often than that is closed each time."""
    kept = Kept(seconds=0.0)
    assert [kept.use() for _ in range(3)] == [0, 1, 2] == kept.closed


@pytest.mark.parametrize("what", ["is_usable", "is_keepable"])
def test_what_is_of_no_use(kept: Kept, what: str) -> None:
    """One that its user has broken is closed, as is one that was broken since."""
    kept.use()
    kept.use()
    is_usable = what != "is_usable"
    assert kept.use(is_usable=is_usable, is_keepable=not is_usable) == (1 if is_usable else 2)
    assert kept.closed[:2] == [0, 1]


def test_error_of_its_user(kept: Kept) -> None:
    """Nobody knows what an error has left behind."""
    kept.use()
    with pytest.raises(KeyError), kept.idle.borrowed("a", lambda: 7):
        raise KeyError
    assert (kept.closed, kept.idle.values()) == ([0, 7], [])


def test_several_at_a_time(kept: Kept) -> None:
    """Each is used by one at a time, and no more are kept than may be."""
    kept.use()
    with (
        kept.idle.borrowed("a", lambda: 7),
        kept.idle.borrowed("a", lambda: 8),
        kept.idle.borrowed("a", lambda: 9),
    ):
        pass
    assert (kept.idle.values(), kept.closed) == ([9, 8], [0, 7])


def test_closed_when_idle() -> None:
    """Whatever nobody wants is closed soon, by a thread that ends then."""
    kept = Kept(seconds=0.2)
    kept.use()
    kept.use()
    until(lambda: kept.closed == [0, 1])
    until(lambda: not [thread for thread in threading.enumerate() if thread.name == "jwt_upstream idle"])


def test_closed_when_old() -> None:
    """One that is used all the time is closed as well."""
    kept = Kept(most_seconds=0.0)
    assert [kept.use() for _ in range(3)] == [0, 1, 2] == kept.closed


def test_expired_before_anybody_has_closed_it(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the machine was suspended nothing is used that was idle then, although no thread has closed it yet."""
    kept.use()
    kept.use()
    monkeypatch.setattr("jwt_upstream.idle.elapsed", lambda: 1e9)
    assert kept.use() == 2
    assert kept.closed[:2] == [0, 1]


def test_no_more_threads(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the interpreter shuts down nothing is kept, since nothing would close it."""

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert [kept.use() for _ in range(3)] == [0, 1, 2] == kept.closed
