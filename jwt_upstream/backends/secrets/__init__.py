"""The secrets of settings: a text, or where it is kept, or several of which one works."""

from __future__ import annotations

from .login import Login
from .options import SecretOption, SecretOptions
from .places import has_place
from .reference import Reference
from .refused_clients import may_refuse_client, names_client

__all__ = ["Login", "Reference", "SecretOption", "SecretOptions", "has_place", "may_refuse_client", "names_client"]
