"""What accounts have of their own at an upstream: which values settings declare, where these go, what they may be."""

from __future__ import annotations

from .settings import Accounts, AccountSettings

__all__ = ["AccountSettings", "Accounts"]
