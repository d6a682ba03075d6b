"""The demo's levers and gauges: what is broken or revoked on purpose, and how often what was asked for."""

from __future__ import annotations

import threading
from collections import Counter

#: What is counted, in the order in which it is shown.
COUNTS = (
    "calls",
    "calls_refused",
    "logins",
    "logins_refused",
    "refreshes",
    "refreshes_refused",
    "reused_refresh_tokens",
)


class Switchboard:
    """State of this one process, for any number of threads; a restart forgets it."""

    def __init__(self) -> None:
        self.is_refresh_broken = False
        self._live: set[str] = set()
        self._revoked: set[str] = set()
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def count(self, name: str) -> None:
        """Add one to a count."""
        with self._lock:
            self._counts[name] += 1

    def counts(self) -> dict[str, int]:
        """Return every count, the zeros too."""
        with self._lock:
            return {name: self._counts[name] for name in COUNTS}

    def issued(self, jti: str) -> None:
        """Remember an access token by its id, so that it can be revoked."""
        with self._lock:
            self._live.add(jti)

    def revoke_access_tokens(self) -> None:
        """End every access token issued so far before its time; refresh tokens stay good."""
        with self._lock:
            self._revoked |= self._live
            self._live.clear()

    def is_revoked(self, jti: str) -> bool:
        """Tell whether an access token was ended before its time."""
        return jti in self._revoked


switchboard = Switchboard()
