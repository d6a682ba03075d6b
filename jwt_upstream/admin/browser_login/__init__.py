"""Logs in from the admin on the upstream's own page: leads there, and takes what comes back."""

from __future__ import annotations

from .views import BrowserLogins

__all__ = ["BrowserLogins"]
