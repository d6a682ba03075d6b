"""Background refresh: bounded rounds, which a timer, a worker or a task queue starts again and again."""

from __future__ import annotations

from .rounds import Round, refresh_due

__all__ = [
    "Round",
    "refresh_due",
]
