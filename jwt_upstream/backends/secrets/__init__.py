"""The secrets of settings: a text, or where it is kept, or several of which one works."""

from __future__ import annotations

from .login import Login
from .options import SecretOption, SecretOptions
from .reference import Reference

__all__ = ["Login", "Reference", "SecretOption", "SecretOptions"]
