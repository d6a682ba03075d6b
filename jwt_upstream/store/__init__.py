"""Reads the rows and changes them, each change one short compare-and-swap; knows the database and no HTTP."""

from __future__ import annotations

from . import connections, due, incidents, outbox, pruning, queries, rekeying, transitions
from .failures import is_away, is_locked
from .history import EventDetails, committed_after_all
from .lease import holder_is_gone, new_lease, seen_leases

__all__ = [
    "EventDetails",
    "committed_after_all",
    "connections",
    "due",
    "holder_is_gone",
    "incidents",
    "is_away",
    "is_locked",
    "new_lease",
    "outbox",
    "pruning",
    "queries",
    "rekeying",
    "seen_leases",
    "transitions",
]
