"""Explains a backend to people: what it would send, how it interprets an answer, and which one a server needs."""

from __future__ import annotations

from . import saved_answers
from .consequences import consequence
from .discovery import Metadata, NotDiscovered, discover
from .previews import Preview, previews
from .proposals import UNKNOWN, Proposal, propose
from .readings import FoundToken, Reading, read
from .settings import shown_settings

__all__ = [
    "UNKNOWN",
    "FoundToken",
    "Metadata",
    "NotDiscovered",
    "Preview",
    "Proposal",
    "Reading",
    "consequence",
    "discover",
    "previews",
    "propose",
    "read",
    "saved_answers",
    "shown_settings",
]
