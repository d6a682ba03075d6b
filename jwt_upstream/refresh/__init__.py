"""Gets a good token and replaces it: look, lease, call, settle; the one place that knows both HTTP and the rows."""

from __future__ import annotations

from .by_hand import Rekeyed, mark_rejected, rebind, rekey, try_again
from .call import (
    NOT_RENEWABLE,
    is_renewable,
    misconfigured_among,
    needs_login_soon,
    never_expires,
    values_problem,
)
from .due import DueCredentials, Leased, in_threads
from .leader import is_suppressed, mismatch_among, needs_rebinding, stored
from .protocol import current, refresh
from .record import write_or_raise
from .states import changed_settings, check_bound, database_clock, find, in_words, mismatched, rebinding, what_differs
from .token_cache import Token, hold_token, release_token
from .token_source import TokenSource

__all__ = [
    "NOT_RENEWABLE",
    "DueCredentials",
    "Leased",
    "Rekeyed",
    "Token",
    "TokenSource",
    "changed_settings",
    "check_bound",
    "current",
    "database_clock",
    "find",
    "hold_token",
    "in_threads",
    "in_words",
    "is_renewable",
    "is_suppressed",
    "mark_rejected",
    "misconfigured_among",
    "mismatch_among",
    "mismatched",
    "needs_login_soon",
    "needs_rebinding",
    "never_expires",
    "rebind",
    "rebinding",
    "refresh",
    "rekey",
    "release_token",
    "stored",
    "try_again",
    "values_problem",
    "what_differs",
    "write_or_raise",
]
