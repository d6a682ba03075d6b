"""Gets a good token and replaces it: look, lease, call, settle; the one place that knows both HTTP and the rows."""

from __future__ import annotations

from .by_hand import try_again
from .call import NOT_RENEWABLE, is_renewable, needs_login_soon
from .leader import is_suppressed, stored
from .protocol import current, refresh
from .record import write_or_raise
from .states import database_clock, find
from .token_cache import Token
from .token_source import TokenSource

__all__ = [
    "NOT_RENEWABLE",
    "Token",
    "TokenSource",
    "current",
    "database_clock",
    "find",
    "is_renewable",
    "is_suppressed",
    "needs_login_soon",
    "refresh",
    "stored",
    "try_again",
    "write_or_raise",
]
