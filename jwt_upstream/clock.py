"""What time it is: by the database's clock where a row was read, else by this host's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

_LINUX_BOOT_CLOCK = getattr(time, "CLOCK_BOOTTIME", None)


def host_now() -> datetime:
    """Return the time by this host's clock, aware and in UTC whatever USE_TZ says."""
    return datetime.now(UTC)


def elapsed() -> float:
    """Return seconds that go on steadily, while the machine is suspended as well where the system counts that."""
    return time.monotonic() if _LINUX_BOOT_CLOCK is None else time.clock_gettime(_LINUX_BOOT_CLOCK)


class Clock:
    """Goes on from a moment that was read elsewhere, by what has elapsed here since."""

    __slots__ = ("_epoch", "_read_at")

    def __init__(self, epoch: float) -> None:
        self._epoch = epoch
        self._read_at = elapsed()

    def __reduce__(self) -> tuple[type[Clock], tuple[float]]:
        # What has elapsed means nothing in another process, which has to go by its own host's clock.
        return Clock, (self.now().timestamp(),)

    def now(self) -> datetime:
        """Return the time by that clock, in UTC."""
        return datetime.fromtimestamp(self._epoch + elapsed() - self._read_at, UTC)


_dating: ContextVar[Clock | None] = ContextVar("jwt_upstream_clock", default=None)


@contextmanager
def dated_by(clock: Clock | None) -> Iterator[None]:
    """Have answers that come meanwhile dated by a clock, the database's: what they say of expiry binds other hosts."""
    token = _dating.set(clock)
    try:
        yield
    finally:
        _dating.reset(token)


def now() -> datetime:
    """Return the time by the clock that answers are dated by, in UTC."""
    clock = _dating.get()
    return clock.now() if clock else host_now()
