"""The project's JWT_UPSTREAM* settings and their defaults, read from Django's settings at every access."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.conf import settings

#: Every setting of this app; checks report any other name that begins with JWT_UPSTREAM.
DEFAULTS: dict[str, Any] = {
    "JWT_UPSTREAM": {},
    "JWT_UPSTREAM_ENCRYPTION_KEYS": (),
    "JWT_UPSTREAM_ACCEPT_OLD_VALUES": True,
    "JWT_UPSTREAM_METRICS": (),
    "JWT_UPSTREAM_METRICS_BY_ACCOUNT": False,
    "JWT_UPSTREAM_ASYNC_THREADS": 100,
    "JWT_UPSTREAM_CACHE_SECONDS": 5.0,
    "JWT_UPSTREAM_CACHE_ENTRIES": 10_000,
    "JWT_UPSTREAM_LEASE_SECONDS": 30.0,
    "JWT_UPSTREAM_WAIT_SECONDS": 15.0,
    "JWT_UPSTREAM_SETTLE_SECONDS": 120.0,
    "JWT_UPSTREAM_OUTAGE_SECONDS": 300.0,
    "JWT_UPSTREAM_EVENT_DAYS": 90,
    "JWT_UPSTREAM_NOTIFIERS": ("jwt_upstream.alerts.mail",),
    "JWT_UPSTREAM_NOTIFY_AFTER_SECONDS": 10.0,
    "JWT_UPSTREAM_NOTIFIER_SECONDS": 20.0,
    "JWT_UPSTREAM_EXPIRY_WARNING_DAYS": 14,
    "JWT_UPSTREAM_SITE_URL": "",
    "JWT_UPSTREAM_WEBHOOK_URL": "",
    "JWT_UPSTREAM_WEBHOOK_SECRET": "",
}

#: What JWT_UPSTREAM_METRICS may name, each with the library that it needs.
METRICS_LIBRARIES = {"prometheus": "prometheus_client", "opentelemetry": "opentelemetry"}


class Conf:
    """A typed view of Django's settings without state of its own, so ``override_settings`` works.

    The reference of the documentation is made of the docstrings; each ends with an example.
    """

    @property
    def upstreams(self) -> Mapping[str, Mapping[str, Any]]:
        """The settings of each upstream by alias: ``BACKEND``, ``BASE_URL``, ``OPTIONS``, ``LOGIN`` and ``NOTIFY``.

        Example: ``{"crm": {"BACKEND": "jwt_upstream.backends.LexikBackend", "BASE_URL": "https://crm.example.com/"}}``
        """
        upstreams: Mapping[str, Mapping[str, Any]] = self._get("JWT_UPSTREAM")
        return upstreams

    @property
    def metrics(self) -> Sequence[str]:
        """The libraries for which calls and refreshes are measured: ``"prometheus"``, ``"opentelemetry"``.

        Example: ``["prometheus"]``
        """
        metrics: Sequence[str] = self._get("JWT_UPSTREAM_METRICS")
        return metrics

    @property
    def metrics_by_account(self) -> bool:
        """Whether counts and durations are told apart by account, and not by upstream only.

        Example: ``True``
        """
        return bool(self._get("JWT_UPSTREAM_METRICS_BY_ACCOUNT"))

    @property
    def async_threads(self) -> int:
        """How many awaited calls of an upstream are under way at the same time in a process, each in a thread.

        Example: ``20``
        """
        return int(self._get("JWT_UPSTREAM_ASYNC_THREADS"))

    @property
    def cache_seconds(self) -> float:
        """How long a process may use a cached access token before it reads the row again.

        Example: ``0``
        """
        return self._number("JWT_UPSTREAM_CACHE_SECONDS")

    @property
    def cache_entries(self) -> int:
        """How many accounts' access tokens a process caches at most.

        Example: ``100_000``
        """
        return int(self._get("JWT_UPSTREAM_CACHE_ENTRIES"))

    @property
    def lease_seconds(self) -> float:
        """How long a worker may hold the lease on a refresh before another one may take over.

        Example: ``60``
        """
        return self._number("JWT_UPSTREAM_LEASE_SECONDS")

    @property
    def wait_seconds(self) -> float:
        """How long a caller waits for a refresh at most, its own or another worker's, before ``RefreshBusy``.

        Example: ``5``
        """
        return self._number("JWT_UPSTREAM_WAIT_SECONDS")

    @property
    def settle_seconds(self) -> float:
        """How long storing an upstream's answer is retried while the database is unavailable.

        Example: ``600``
        """
        return self._number("JWT_UPSTREAM_SETTLE_SECONDS")

    @property
    def outage_seconds(self) -> float:
        """How long refreshes must have failed, or tokens been unreadable, before the admins are told.

        Example: ``900``
        """
        return self._number("JWT_UPSTREAM_OUTAGE_SECONDS")

    @property
    def event_days(self) -> float | None:
        """How many days the history is kept; ``None`` for ever.

        Example: ``365``
        """
        days = self._get("JWT_UPSTREAM_EVENT_DAYS")
        return None if days is None else float(days)

    @property
    def notifiers(self) -> Mapping[str, str | Callable[..., Any]]:
        """Whom incidents are told to: callables or their dotted paths, by the names that the outbox knows them by.

        Example: ``["jwt_upstream.alerts.mail", "jwt_upstream.alerts.webhook"]``
        """
        return {_dotted_path(each): each for each in self._get("JWT_UPSTREAM_NOTIFIERS")}

    @property
    def notify_after_seconds(self) -> float:
        """How long what is to be told waits for more of the same upstream.

        Example: ``60``
        """
        return self._number("JWT_UPSTREAM_NOTIFY_AFTER_SECONDS")

    @property
    def notifier_seconds(self) -> float:
        """How long a notifier may take for a message before it counts as failed.

        Example: ``5``
        """
        return self._number("JWT_UPSTREAM_NOTIFIER_SECONDS")

    @property
    def expiry_warning_days(self) -> float:
        """How many days before the expiry of a refresh token or client secret the admins are told.

        Example: ``30``
        """
        return self._number("JWT_UPSTREAM_EXPIRY_WARNING_DAYS")

    @property
    def site_url(self) -> str:
        """Where this project's admin is reached, for links; empty: there are none.

        Example: ``"https://ops.example.com"``
        """
        return str(self._get("JWT_UPSTREAM_SITE_URL")).rstrip("/")

    @property
    def webhook_url(self) -> str:
        """Where the webhook notifier sends to.

        Example: ``"https://hooks.example.com/upstreams"``
        """
        return str(self._get("JWT_UPSTREAM_WEBHOOK_URL"))

    @property
    def webhook_secret(self) -> str:
        """What the webhook notifier signs with.

        Example: ``"5WFe…"``
        """
        return str(self._get("JWT_UPSTREAM_WEBHOOK_SECRET"))

    def _number(self, name: str) -> float:
        return float(self._get(name))

    def _get(self, name: str) -> Any:
        return getattr(settings, name, DEFAULTS[name])


def _dotted_path(notifier: str | Callable[..., Any]) -> str:
    if isinstance(notifier, str):
        return notifier
    named = notifier if hasattr(notifier, "__qualname__") else type(notifier)
    return f"{named.__module__}.{named.__qualname__}"


conf = Conf()
