"""The classes that speak upstreams' wire formats, one file per family; ``BACKEND`` in settings names one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.module_loading import import_string

from jwt_upstream.conf import conf
from jwt_upstream.exceptions import UpstreamNotConfigured

from .base import Backend, Outcome
from .lexik import LexikBackend
from .oauth2 import OAuth2Backend
from .simplejwt import SimpleJWTBackend
from .verdicts import Rule, Verdict

__all__ = [
    "Backend",
    "LexikBackend",
    "OAuth2Backend",
    "Outcome",
    "Rule",
    "SimpleJWTBackend",
    "Verdict",
    "get_backend",
    "make_backend",
]

#: What an upstream's settings may hold.
KEYS = ("BACKEND", "BASE_URL", "OPTIONS")

_made: dict[str, tuple[Mapping[str, Any], Backend]] = {}


def get_backend(alias: str) -> Backend:
    """Return the backend of a configured upstream, the same one as long as its settings are the same.

    Raises UpstreamNotConfigured, with the first thing that is wrong.
    """
    try:
        written = conf.upstreams[alias]
    except (KeyError, TypeError):
        raise UpstreamNotConfigured(_unknown(alias)) from None
    known = _made.get(alias)
    if known is not None and known[0] == written:
        return known[1]
    backend = make_backend(alias, written)
    for problem in backend.check():
        raise UpstreamNotConfigured(f"JWT_UPSTREAM[{alias!r}]: {problem}")
    # A copy, so that settings which are changed in place are noticed as well.
    _made[alias] = ({key: dict(value) if key == "OPTIONS" else value for key, value in written.items()}, backend)
    return backend


def make_backend(alias: str, written: Mapping[str, Any]) -> Backend:
    """Build a backend of an upstream's settings, its options unchecked; raises UpstreamNotConfigured."""
    try:
        cls = import_string(written.get("BACKEND", "jwt_upstream.backends.Backend"))
    except (ImportError, AttributeError) as error:
        raise UpstreamNotConfigured(f"JWT_UPSTREAM[{alias!r}]: BACKEND can't be imported: {error}") from error
    if not (isinstance(cls, type) and issubclass(cls, Backend)):
        raise UpstreamNotConfigured(f"JWT_UPSTREAM[{alias!r}]: BACKEND {written['BACKEND']} is no Backend class")
    if not isinstance(written.get("BASE_URL"), str) or not written["BASE_URL"]:
        raise UpstreamNotConfigured(f"JWT_UPSTREAM[{alias!r}]: BASE_URL is missing")
    return cls(alias, written["BASE_URL"], **written.get("OPTIONS", {}))


def _unknown(alias: str) -> str:
    names = ", ".join(map(repr, sorted(conf.upstreams))) if isinstance(conf.upstreams, Mapping) else ""
    return f"no upstream {alias!r} in JWT_UPSTREAM; it has {names or 'none'}"
