"""The backends of the configured upstreams, built from the current value of JWT_UPSTREAM."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from django.utils.module_loading import import_string
from django.views.decorators.debug import sensitive_variables

from jwt_upstream.conf import conf
from jwt_upstream.exceptions import UpstreamNotConfigured
from jwt_upstream.process import PerProcess
from jwt_upstream.tokens import Secrets

from .base import Backend
from .core import is_web_address

#: The keys of an upstream's settings.
KEYS = ("BACKEND", "BASE_URL", "OPTIONS", "LOGIN")

_Cache = dict[str, tuple[Mapping[str, Any], Backend]]


def _empty_cache() -> _Cache:
    return {}


_cache = PerProcess(_empty_cache)


def get_backend(alias: str) -> Backend:
    """Return the backend of a configured upstream, the same object as long as its settings don't change.

    Raises UpstreamNotConfigured with the first mistake in the settings.
    """
    try:
        return _backend(alias)
    except UpstreamNotConfigured as error:
        raise error.with_traceback(None) from None  # its frames hold all settings of the upstream


@sensitive_variables()
def _backend(alias: str) -> Backend:
    written = written_settings(alias)
    cache = _cache()
    cached = cache.get(alias)
    if cached is not None and cached[0] == written:
        return cached[1]
    backend = make_backend(alias, written)
    if problem := next(iter(backend.check()), None):
        raise UpstreamNotConfigured(f"JWT_UPSTREAM[{alias!r}]: {problem}")
    # A copy, so that settings which are changed in place are noticed.
    cache[alias] = (deepcopy(written), backend)
    return backend


def written_settings(alias: str) -> Mapping[str, Any]:
    """Return the unchecked settings of an upstream; raises UpstreamNotConfigured for an unknown alias."""
    try:
        return conf.upstreams[alias]
    except (KeyError, TypeError):
        raise UpstreamNotConfigured(_unknown(alias)) from None


@sensitive_variables()
def make_backend(alias: str, written: Mapping[str, Any]) -> Backend:
    """Build the backend that settings describe, without checking its options; raises UpstreamNotConfigured."""
    where = f"JWT_UPSTREAM[{alias!r}]"
    if not isinstance(written, Mapping):
        raise UpstreamNotConfigured(f"{where} must be a dict")
    options = written.get("OPTIONS", {})
    if not isinstance(options, Mapping) or not all(isinstance(name, str) for name in options):
        raise UpstreamNotConfigured(f"{where}: OPTIONS must be a dict whose keys are strings")
    base_url = written.get("BASE_URL")
    if not isinstance(base_url, str) or not is_web_address(base_url):
        raise UpstreamNotConfigured(f"{where}: BASE_URL must be an http:// or https:// URL without user and password")
    login = written.get("LOGIN", {})
    if not isinstance(login, Mapping):
        raise UpstreamNotConfigured(f"{where}: LOGIN must be a dict, such as {{'username': …, 'password': …}}")
    backend_class = _backend_class(where, written.get("BACKEND", "jwt_upstream.backends.Backend"))
    backend = backend_class(alias, base_url, **options)
    backend.automatic_login = Secrets(login)
    return backend


def _backend_class(where: str, path: Any) -> type[Backend]:
    try:
        cls = import_string(path)
    except (ImportError, AttributeError) as error:
        raise UpstreamNotConfigured(f"{where}: BACKEND can't be imported: {error}") from error
    if not (isinstance(cls, type) and issubclass(cls, Backend)):
        raise UpstreamNotConfigured(f"{where}: BACKEND {path} is not a subclass of Backend")
    return cls


def _unknown(alias: str) -> str:
    names = ", ".join(map(repr, sorted(conf.upstreams))) if isinstance(conf.upstreams, Mapping) else ""
    return f"no upstream {alias!r} in JWT_UPSTREAM; it has {names or 'none'}"
