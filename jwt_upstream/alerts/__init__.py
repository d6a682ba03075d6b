"""Tells the admins of incidents: a credential that needs a human, an upstream in trouble, and that they work again."""

from __future__ import annotations

from .mails import connect

__all__ = ["connect"]
