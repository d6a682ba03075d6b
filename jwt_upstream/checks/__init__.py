"""Finds what is wrong in the settings and around them, for Django's system checks; each says what to do about it."""

from __future__ import annotations

from .alerts import check_mail, check_site
from .keys import check_keys
from .settings import check_settings
from .tables import check_tables
from .upstreams import check_upstream, check_verification

__all__ = [
    "check_keys",
    "check_mail",
    "check_settings",
    "check_site",
    "check_tables",
    "check_upstream",
    "check_verification",
]
