"""Alerts about incidents: a credential that needs a human or an upstream in trouble, and when it works again."""

from __future__ import annotations

from .mails import connect

__all__ = ["connect"]
