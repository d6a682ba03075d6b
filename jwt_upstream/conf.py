"""The project's JWT_UPSTREAM* settings and their defaults, read from Django's settings at every access."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings

#: Every setting of this app; checks report any other name that begins with JWT_UPSTREAM.
DEFAULTS: dict[str, Any] = {
    "JWT_UPSTREAM": {},
    "JWT_UPSTREAM_ENCRYPTION_KEYS": (),
    "JWT_UPSTREAM_CACHE_SECONDS": 5.0,
    "JWT_UPSTREAM_LEASE_SECONDS": 30.0,
    "JWT_UPSTREAM_WAIT_SECONDS": 15.0,
    "JWT_UPSTREAM_SETTLE_SECONDS": 120.0,
    "JWT_UPSTREAM_OUTAGE_SECONDS": 300.0,
}


class Conf:
    """A typed view of Django's settings without state of its own, so ``override_settings`` works."""

    @property
    def upstreams(self) -> Mapping[str, Mapping[str, Any]]:
        """The settings of each upstream by its alias."""
        upstreams: Mapping[str, Mapping[str, Any]] = self._get("JWT_UPSTREAM")
        return upstreams

    @property
    def cache_seconds(self) -> float:
        """How long a process may use a cached access token before it reads the row again."""
        return self._seconds("JWT_UPSTREAM_CACHE_SECONDS")

    @property
    def lease_seconds(self) -> float:
        """How long a worker may hold the lease on a refresh before another one may take over."""
        return self._seconds("JWT_UPSTREAM_LEASE_SECONDS")

    @property
    def wait_seconds(self) -> float:
        """How long a caller waits for a refresh at most, its own or another worker's."""
        return self._seconds("JWT_UPSTREAM_WAIT_SECONDS")

    @property
    def settle_seconds(self) -> float:
        """How long storing an upstream's answer is retried while the database is unavailable."""
        return self._seconds("JWT_UPSTREAM_SETTLE_SECONDS")

    @property
    def outage_seconds(self) -> float:
        """How long refreshes must have failed, or tokens been unreadable, before the admins are told."""
        return self._seconds("JWT_UPSTREAM_OUTAGE_SECONDS")

    def _seconds(self, name: str) -> float:
        return float(self._get(name))

    def _get(self, name: str) -> Any:
        return getattr(settings, name, DEFAULTS[name])


conf = Conf()
