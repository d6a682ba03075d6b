"""The backends of the configured upstreams, built from the current value of JWT_UPSTREAM."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from importlib import import_module
from typing import Any

from django.utils.module_loading import import_string

from jwt_upstream.conf import conf
from jwt_upstream.exceptions import UpstreamNotConfigured
from jwt_upstream.names import alternatives, closest_name
from jwt_upstream.process import PerProcess
from jwt_upstream.tracebacks import without_variables

from .base import Backend
from .core import is_web_address
from .secrets import Login

#: The keys of an upstream's settings.
KEYS = ("BACKEND", "BASE_URL", "OPTIONS", "LOGIN", "NOTIFY")

_Cache = dict[str, tuple[Mapping[str, Any], Backend]]


def _empty_cache() -> _Cache:
    return {}


_cache = PerProcess(_empty_cache)


@without_variables
def get_backend(alias: str) -> Backend:
    """Return the backend of a configured upstream, the same object as long as its settings don't change.

    Raises UpstreamNotConfigured with the first mistake in the settings.
    """
    written = written_settings(alias)
    cache = _cache()
    cached = cache.get(alias)
    if cached is not None and cached[0] == written:
        return cached[1]
    backend = make_backend(alias, written)
    if problem := next(iter(backend.check()), None):
        raise UpstreamNotConfigured(f"JWT_UPSTREAM[{alias!r}]: {problem}")
    # A copy, so that settings which are changed in place are noticed.
    cache[alias] = (_snapshot(written), backend)
    return backend


def _snapshot(written: Any) -> Any:
    if isinstance(written, Mapping):
        return {name: _snapshot(value) for name, value in written.items()}
    if type(written) in {list, tuple}:
        return type(written)(map(_snapshot, written))
    # A callable that returns a secret may be a method, of which deepcopy() makes another one that is not equal.
    return written if callable(written) else deepcopy(written)


def written_settings(alias: str) -> Mapping[str, Any]:
    """Return the unchecked settings of an upstream; raises UpstreamNotConfigured for an unknown alias."""
    try:
        return conf.upstreams[alias]
    except (KeyError, TypeError):
        raise UpstreamNotConfigured(_unknown(alias)) from None


@without_variables
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
    backend.automatic_login = Login(login)
    return backend


def _backend_class(where: str, path: Any) -> type[Backend]:
    try:
        cls = import_string(path)
    except (ImportError, AttributeError) as error:
        raise UpstreamNotConfigured(f"{where}: BACKEND can't be imported: {error}{_meant(path)}") from error
    if not (isinstance(cls, type) and issubclass(cls, Backend)):
        raise UpstreamNotConfigured(f"{where}: BACKEND {path} is not a subclass of Backend")
    return cls


def _meant(path: Any) -> str:
    module, _, name = str(path).rpartition(".")
    try:
        found = vars(import_module(module))
    except (ImportError, ValueError):
        module, found = __package__, vars(import_module(__package__))
    classes = [each for each, cls in found.items() if isinstance(cls, type) and issubclass(cls, Backend)]
    closest = closest_name(name, classes)
    return f"; did you mean '{module}.{closest}'?" if closest else ""


def _unknown(alias: str) -> str:
    names = sorted(conf.upstreams) if isinstance(conf.upstreams, Mapping) else []
    return f"no upstream {alias!r} in JWT_UPSTREAM; it has {alternatives(alias, names)}"
