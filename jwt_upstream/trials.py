"""Who is trying a fresh token just now: others whom it did not help wait for what they find, and don't refresh again.

A process's own business, like ``flights``: between processes the look at the row has to do.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

#: How long others wait; then whoever is trying is at a slow route, and they go on.
PATIENCE_SECONDS = 1.0

_trying: Counter[str] = Counter()
_changed = threading.Condition()


def _reset() -> None:
    # A forked child has none of the threads that are trying, and perhaps the lock of one.
    global _changed
    _changed = threading.Condition()
    _trying.clear()


os.register_at_fork(after_in_child=_reset)


@contextmanager
def of(fingerprint: str) -> Iterator[None]:
    """Say that a token which was got after a 401 is being tried, until it is recorded whether it helps."""
    with _changed:
        _trying[fingerprint] += 1
    try:
        yield
    finally:
        with _changed:
            _trying.subtract([fingerprint])
            if _trying[fingerprint] <= 0:  # below 0 in a child forked meanwhile
                del _trying[fingerprint]
                _changed.notify_all()


def wait_for(fingerprint: str) -> None:
    """Wait until nobody in this process is trying a token any more, if somebody is."""
    with _changed:
        _changed.wait_for(lambda: not _trying[fingerprint], PATIENCE_SECONDS)
