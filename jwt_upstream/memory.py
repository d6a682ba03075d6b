"""What this process remembers of credentials for a few seconds, so that most calls ask no database; sends nothing.

Never of what only the caller's transaction has: it may be rolled back, as a test's always is.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from dataclasses import replace
from typing import NamedTuple

from django.utils import timezone

from jwt_upstream import claims, flights
from jwt_upstream.changes import Changes
from jwt_upstream.conf import conf
from jwt_upstream.models import Credential
from jwt_upstream.tokens import TokenPair

#: The most credentials that are remembered at a time: some 5 MB of a worker, however many it serves.
LIMIT = 1000

_Key = tuple[str, str, str]


class Memory(NamedTuple):
    """A row as it was read, and the access token to go on with; the refresh token is not remembered."""

    row: Credential
    pair: TokenPair
    until: float
    changes: int

    @property
    def is_good(self) -> bool:
        """Whether it may be gone on with: not for long, and not after anything happened in this process."""
        return self.changes == Changes.count and time.monotonic() < self.until


_memories: OrderedDict[_Key, Memory] = OrderedDict()
_lock = threading.Lock()


def _reset() -> None:
    # A thread of the parent may have held the lock, and a forked child has no such thread to release it.
    global _lock
    _lock = threading.Lock()
    _memories.clear()


os.register_at_fork(after_in_child=_reset)


def recall(upstream: str, account: str) -> Memory | None:
    """Return what any client of this process learned a moment ago; not inside a test's transaction."""
    using = claims.database()
    memory = _memories.get((using, upstream, account))
    return memory if memory and memory.is_good and not flights.must_join(using) else None


def remember(row: Credential, pair: TokenPair, changes: int) -> Memory:
    """Return what the client that looked may go on with, and let others share it.

    ``changes`` is the count from before the look. Must run where the caller's connection is.
    """
    using, seconds = claims.database(), conf.memory_seconds
    if pair.access_expires_at:
        seconds = min(seconds, (pair.access_expires_at - timezone.now()).total_seconds() / 2)
    # What a test's transaction holds must not outlive it in a client that does.
    if flights.must_join(using):
        seconds = 0.0
    memory = Memory(row, replace(pair, refresh=""), time.monotonic() + seconds, changes)
    if seconds > 0 and not flights.in_transaction(using):
        _share((using, row.upstream, row.account), memory)
    return memory


def _share(key: _Key, memory: Memory) -> None:
    with _lock:
        _memories[key] = memory
        _memories.move_to_end(key)
        # In about the order in which they end, so a token is not kept for long after its last call either.
        while _memories and (len(_memories) > LIMIT or not next(iter(_memories.values())).is_good):
            _memories.popitem(last=False)
