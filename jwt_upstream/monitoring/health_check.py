"""A check for django-health-check (4 or later), which has to be installed before this can be imported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from asgiref.sync import sync_to_async
from health_check.base import HealthCheck as _HealthCheck
from health_check.exceptions import ServiceUnavailable, ServiceWarning

from .conditions import Condition, conditions

if TYPE_CHECKING:
    HealthCheck = object  # the package has no types
else:
    HealthCheck = _HealthCheck


@dataclass
class Upstreams(HealthCheck):
    """Fails if a person has to act before calls to an upstream work again, and warns if an upstream is degraded.

    ``upstream`` is the alias of one, None for all. Messages name upstreams, and no account.
    """

    upstream: str | None = None

    async def run(self) -> None:
        """Read the database; sends nothing to an upstream."""
        found = await sync_to_async(conditions)([self.upstream] if self.upstream else [])
        if names := _names(found, "needs_human"):
            raise ServiceUnavailable(f"a person has to act: {names}")
        if names := _names(found, "degraded"):
            raise ServiceWarning(f"degraded: {names}")


def _names(found: list[Condition], status: str) -> str:
    return ", ".join(condition.upstream for condition in found if condition.status == status)
