"""Fresh tokens that threads of this process are trying; other threads wait for the result and don't refresh again.

Between processes there is no such waiting: each of them looks at the row, and may refresh once.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from jwt_upstream.process import PerProcess
from jwt_upstream.refresh import Token
from jwt_upstream.tokens import fingerprint

#: How long others wait; then the one who is trying has met a slow route, and they go on.
WAIT_SECONDS = 1.0


class FirstUses:
    """The fresh tokens that threads of one process are trying, each with the number of threads."""

    def __init__(self) -> None:
        self._trying: Counter[str] = Counter()
        self._changed = threading.Condition()

    @contextmanager
    def of(self, token: Token) -> Iterator[None]:
        """Say that a token which was obtained after a 401 is being tried, until it is recorded whether it helps."""
        key = fingerprint(token.pair.access)
        with self._changed:
            self._trying[key] += 1
        try:
            yield
        finally:
            with self._changed:
                self._trying[key] -= 1
                if not self._trying[key]:
                    del self._trying[key]
                    self._changed.notify_all()

    def wait_for(self, token: Token) -> None:
        """Wait until no thread of this process is trying a token any more, if one is."""
        key = fingerprint(token.pair.access)
        with self._changed:
            self._changed.wait_for(lambda: not self._trying[key], WAIT_SECONDS)


first_uses = PerProcess(FirstUses)
