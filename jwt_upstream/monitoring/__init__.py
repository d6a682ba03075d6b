"""Lets others watch: a health view, and metrics for Prometheus and OpenTelemetry if these are installed."""

from __future__ import annotations

from .conditions import Condition, conditions
from .health import health
from .metrics import apply_settings

__all__ = ["Condition", "apply_settings", "conditions", "health"]
