"""Connections that were used a moment ago, kept for whoever needs one next: a few of them, and not for long."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from jwt_upstream.clock import elapsed

T = TypeVar("T")


@dataclass
class _Kept(Generic[T]):
    key: Hashable
    value: T
    made_at: float = field(default_factory=elapsed)
    expires_at: float = 0.0


class Idle(Generic[T]):
    """What nobody uses at the moment; each is used by one thread at a time, and closed if nobody wants it soon.

    Nothing is kept unless two were wanted within ``seconds``, so that a single use leaves nothing behind. Times are
    those of ``clock.elapsed``: what was idle while the machine was suspended is not used again.
    """

    def __init__(self, close: Callable[[T], None], seconds: float, most_seconds: float, most: int) -> None:
        """Keep at most ``most``, each idle for ``seconds`` and used for ``most_seconds`` at most."""
        self._close, self._seconds, self._most_seconds, self._most = close, seconds, most_seconds, most
        self._kept: list[_Kept[T]] = []
        self._lock = threading.Lock()
        self._wanted_at, self._is_wanted_often = -seconds, False
        self._watch: threading.Event | None = None

    @contextmanager
    def borrowed(
        self,
        key: Hashable,
        make: Callable[[], T],
        is_usable: Callable[[T], bool] = lambda _: True,
        is_keepable: Callable[[T], bool] = lambda _: True,
    ) -> Iterator[T]:
        """Give one that was kept under the key and is usable, or make it; keep it afterwards or close it."""
        kept = self._take(key, is_usable) or _Kept(key, make())
        try:
            yield kept.value
            is_kept = is_keepable(kept.value) and self._keep(kept)
        except BaseException:
            self._close(kept.value)
            raise
        if not is_kept:
            self._close(kept.value)

    def values(self) -> list[T]:
        """Return what is idle, without the lock, which may be held for ever in a forked child."""
        return [kept.value for kept in list(self._kept)]

    def close(self) -> None:
        """Close what is idle."""
        with self._lock:
            kept, self._kept = self._kept, []
            if self._watch:
                self._watch.set()
        for each in kept:
            self._close(each.value)

    def _take(self, key: Hashable, is_usable: Callable[[T], bool]) -> _Kept[T] | None:
        with self._lock:
            now = elapsed()
            self._is_wanted_often, self._wanted_at = now - self._wanted_at < self._seconds, now
        while found := self._pop(key):
            if elapsed() < found.expires_at and is_usable(found.value):
                return found
            self._close(found.value)
        return None

    def _pop(self, key: Hashable) -> _Kept[T] | None:
        # The one that was used last, so that the others may expire.
        with self._lock:
            found = next((kept for kept in reversed(self._kept) if kept.key == key), None)
            if found:
                self._kept.remove(found)
            return found

    def _keep(self, kept: _Kept[T]) -> bool:
        now = elapsed()
        kept.expires_at = min(now + self._seconds, kept.made_at + self._most_seconds)
        with self._lock:
            if not self._is_wanted_often or now >= kept.expires_at or len(self._kept) >= self._most:
                return False
            if not self._watch:
                try:
                    self._watch = self._started()
                except RuntimeError:  # the interpreter is shutting down and starts no more threads
                    return False
            self._kept.append(kept)
            return True

    def _started(self) -> threading.Event:
        wakes = threading.Event()
        threading.Thread(target=self._close_in_time, args=[wakes], name="jwt_upstream idle", daemon=True).start()
        return wakes

    def _close_in_time(self, wakes: threading.Event) -> None:
        while (seconds := self._close_expired()) is not None:
            wakes.wait(seconds)

    def _close_expired(self) -> float | None:
        """Close what has expired, and return after how many seconds to look again; None if nothing is left."""
        with self._lock:
            now = elapsed()
            expired = [kept for kept in self._kept if kept.expires_at <= now]
            self._kept = [kept for kept in self._kept if kept.expires_at > now]
            left = min((kept.expires_at for kept in self._kept), default=None)
            self._watch = self._watch if left else None
        for each in expired:
            self._close(each.value)
        return left - now if left else None
