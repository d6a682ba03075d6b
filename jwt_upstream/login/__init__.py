"""Gets an account its first pair, by a login or from elsewhere, and logs it out again."""

from __future__ import annotations

from .first_pair import adopt, login
from .logout import log_out

__all__ = ["adopt", "log_out", "login"]
