"""The admin pages: the states of upstreams and credentials, their history, and actions to operate them."""

from __future__ import annotations

from .credentials import CredentialAdmin
from .history import EventAdmin, IncidentAdmin

__all__ = ["CredentialAdmin", "EventAdmin", "IncidentAdmin"]
