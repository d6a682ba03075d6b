"""Reads the rows and changes them, each change one short compare-and-swap; knows the database and no HTTP."""

from __future__ import annotations

from . import connections, incidents, queries, transitions
from .history import EventDetails

__all__ = ["EventDetails", "connections", "incidents", "queries", "transitions"]
