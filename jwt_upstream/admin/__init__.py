"""The admin's pages: how credentials are doing, what happened to them, and the actions to mend them."""

from __future__ import annotations

from .pages import CredentialAdmin, EventAdmin, OutageAdmin

__all__ = ["CredentialAdmin", "EventAdmin", "OutageAdmin"]
