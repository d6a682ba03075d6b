"""Explains a backend to people: what it would send, and how it interprets an answer."""

from __future__ import annotations

from . import saved_answers
from .previews import Preview, previews
from .readings import FoundToken, Reading, read

__all__ = ["FoundToken", "Preview", "Reading", "previews", "read", "saved_answers"]
