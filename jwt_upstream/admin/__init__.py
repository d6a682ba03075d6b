"""The admin pages: the states of credentials, their history, and actions to operate them."""

from __future__ import annotations

from .pages import CredentialAdmin, EventAdmin, IncidentAdmin

__all__ = ["CredentialAdmin", "EventAdmin", "IncidentAdmin"]
