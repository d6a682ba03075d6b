"""Tasks for Celery and for ``django.tasks``: a round of the background refresh, and the pruning of the history.

Those of a library that isn't installed aren't defined. Celery finds the others by ``autodiscover_tasks``.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from importlib import import_module
from typing import Any

from jwt_upstream.alerts import deliver
from jwt_upstream.background import refresh_due
from jwt_upstream.conf import conf
from jwt_upstream.store import pruning, queries


def _installed(name: str, *modules: str) -> Any:
    """Return what the first of these modules that is installed has under a name, None if none is."""
    for module in modules:
        with suppress(ImportError):
            return getattr(import_module(module), name)
    return None


shared_task = _installed("shared_task", "celery")
task = _installed("task", "django.tasks", "django_tasks")  # the first is Django 6's


def _refresh(seconds: float, ahead: float) -> dict[str, Any]:
    result = refresh_due(seconds=seconds, ahead=ahead)
    counts = {"refreshed": result.refreshed, "failed": result.failed, "need_human": result.need_human}
    return {**counts, "given_up": result.given_up, "told": deliver()}


def _prune() -> dict[str, int]:
    days, counts = conf.event_days, pruning.Pruned()
    for each in [] if days is None else pruning.prune(days, queries.database()):
        counts = each
    return asdict(counts)


if shared_task:

    @shared_task(name="jwt_upstream.refresh_due", ignore_result=True)  # type: ignore[untyped-decorator]  # it may not be installed
    def celery_refresh_due(seconds: float = 50.0, ahead: float = 60.0) -> dict[str, Any]:
        """Make a round, as ``upstream_refresh`` does; may be started every minute, and on several hosts."""
        return _refresh(seconds, ahead)

    @shared_task(name="jwt_upstream.prune", ignore_result=True)  # type: ignore[untyped-decorator]  # it may not be installed
    def celery_prune() -> dict[str, int]:
        """Delete history that is old, as ``upstream_prune`` does; to be started once a day."""
        return _prune()


if task:

    @task  # type: ignore[untyped-decorator]  # it may not be installed
    def django_refresh_due(seconds: float = 50.0, ahead: float = 60.0) -> dict[str, Any]:
        """Make a round, as ``upstream_refresh`` does; may be enqueued every minute, and by several hosts."""
        return _refresh(seconds, ahead)

    @task  # type: ignore[untyped-decorator]  # it may not be installed
    def django_prune() -> dict[str, int]:
        """Delete history that is old, as ``upstream_prune`` does; to be enqueued once a day."""
        return _prune()
