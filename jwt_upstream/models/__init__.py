"""The models: credentials, their history, incidents, and what is yet to be told of them."""

from __future__ import annotations

from .credentials import SEALED, Credential, rows_updated
from .events import Event
from .incidents import Incident, Notice

__all__ = [
    "SEALED",
    "Credential",
    "Event",
    "Incident",
    "Notice",
    "rows_updated",
]
