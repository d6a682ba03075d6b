"""How long this process has seen a lease, where the database's clock does not tell: it may have been set back."""

from __future__ import annotations

from collections import OrderedDict

from jwt_upstream.clock import elapsed
from jwt_upstream.process import PerProcess

_ENTRIES = 1000


class SeenLeases:
    """The last lease of each credential that was seen with an expiry too far away, and when it was seen first."""

    def __init__(self) -> None:
        self._seen: OrderedDict[int, tuple[str, float]] = OrderedDict()

    def is_outlasted(self, key: int, lease: str, seconds: float) -> bool:
        """Tell whether this process has seen a lease for longer than leases last."""
        known, since = self._seen.get(key, ("", 0.0))
        if known != lease:
            since = elapsed()
            self._seen[key] = (lease, since)
            while len(self._seen) > _ENTRIES:
                self._seen.popitem(last=False)
        return elapsed() - since > seconds


seen_leases = PerProcess(SeenLeases)
