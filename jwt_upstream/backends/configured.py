"""The backends of the configured upstreams, built from the current value of JWT_UPSTREAM."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Mapping
from copy import deepcopy
from importlib import import_module
from typing import Any, TypeGuard
from weakref import WeakValueDictionary

from django.utils.module_loading import import_string

from jwt_upstream.accounts import AccountValues, StoredAccount, values_of
from jwt_upstream.conf import conf
from jwt_upstream.exceptions import UpstreamNotConfigured
from jwt_upstream.names import alternatives, closest_name
from jwt_upstream.process import PerProcess
from jwt_upstream.tracebacks import without_variables

from .accounts import Accounts, AccountSettings
from .base import Backend
from .core import is_web_address
from .secrets import Login

#: The keys of an upstream's settings.
KEYS = ("BACKEND", "BASE_URL", "OPTIONS", "LOGIN", "NOTIFY", "ACCOUNTS")

_Cache = dict[str, tuple[Mapping[str, Any], Backend, "_OfAccounts"]]


def _empty_cache() -> _Cache:
    return {}


_cache = PerProcess(_empty_cache)


class _OfAccounts:
    """The backends of accounts at one upstream, each by its account's values, as long as somebody uses them.

    Above all the tokens that are cached do: so an account's secrets stay in memory no longer than its tokens.
    """

    def __init__(self) -> None:
        self._backends: WeakValueDictionary[Hashable, Backend] = WeakValueDictionary()
        self._lock = threading.Lock()

    def find(self, key: Hashable) -> Backend | None:
        return self._backends.get(key)

    def add(self, key: Hashable, backend: Backend) -> Backend:
        """Return the backend, or the one that another thread has just made of the same values."""
        with self._lock:
            return self._backends.setdefault(key, backend)


@without_variables
def get_backend(alias: str, account: str | StoredAccount | AccountValues | None = None) -> Backend:
    """Return the backend of a configured upstream, the same object as long as its settings don't change.

    Where settings declare ACCOUNTS it is that of an account, which is named or is a row that was read; without one it
    tells what all accounts have in common, and sends nothing.

    Raises UpstreamNotConfigured with the first mistake in the settings, and AccountMisconfigured, which is one too,
    with the first mistake in the account's values.
    """
    written = written_settings(alias)
    cache = _cache()
    cached = cache.get(alias)
    if cached is None or cached[0] != written:
        backend = make_backend(alias, written)
        if problem := next(iter(backend.check()), None):
            raise UpstreamNotConfigured(f"JWT_UPSTREAM[{alias!r}]: {problem}")
        # A copy, so that settings which are changed in place are noticed.
        cache[alias] = cached = (_snapshot(written), backend, _OfAccounts())
    if account is None or cached[1].accounts is None:
        return cached[1]
    return _of_account(cached[1], cached[0], values_of(alias, account), cached[2])


def _of_account(template: Backend, written: Mapping[str, Any], values: AccountValues, known: _OfAccounts) -> Backend:
    return known.find(values.key) or known.add(values.key, _made_of(template, written, values))


def _made_of(template: Backend, written: Mapping[str, Any], values: AccountValues) -> Backend:
    assert template.accounts is not None
    backend = _built(template.alias, type(template), template.accounts.of(values), written, template.accounts)
    backend.template = template
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
    if not isinstance(base_url, str) or ("ACCOUNTS" not in written and not is_web_address(base_url)):
        raise UpstreamNotConfigured(f"{where}: BASE_URL must be an http:// or https:// URL without user and password")
    login = written.get("LOGIN", {})
    if not isinstance(login, Mapping):
        raise UpstreamNotConfigured(f"{where}: LOGIN must be a dict, such as {{'username': …, 'password': …}}")
    backend_class = _backend_class(where, written.get("BACKEND", "jwt_upstream.backends.Backend"))
    if "ACCOUNTS" in written:
        return _made_for_accounts(alias, backend_class, written)
    return _built(alias, backend_class, AccountSettings(base_url, options, login), written)


def _made_for_accounts(alias: str, backend_class: type[Backend], written: Mapping[str, Any]) -> Backend:
    where = f"JWT_UPSTREAM[{alias!r}]"
    try:
        accounts = Accounts(alias, backend_class, written)
    except ValueError as error:
        raise UpstreamNotConfigured(f"{where}: {error}") from None
    settings = accounts.of_none()
    if not is_web_address(settings.base_url):
        # Some versions of urllib3 read no URL with the braces of a name that there isn't.
        found = next(accounts.check(), None)
        nowhere = f"{where}: BASE_URL leads nowhere once placeholders are filled in"
        raise UpstreamNotConfigured(f"{where}: {found}" if found else nowhere)
    return _built(alias, backend_class, settings, written, accounts)


def _built(
    alias: str,
    backend_class: type[Backend],
    settings: AccountSettings,
    written: Mapping[str, Any],
    accounts: Accounts | None = None,
) -> Backend:
    backend = backend_class(alias, settings.base_url, **settings.options)
    backend.automatic_login = Login(settings.login)
    if accounts:
        backend.accounts, backend.has_addresses = accounts, True
        backend.own_parameters, backend.own_account_secrets = settings.parameters, settings.secrets
        backend.automatic_login.is_of_account = accounts.has_login
        backend._options = dict(written.get("OPTIONS", {}))  # what is shown of it has no account's values
    return backend


def _backend_class(where: str, path: Any) -> type[Backend]:
    if not isinstance(path, str):
        example = "a string such as 'jwt_upstream.backends.LexikBackend'"
        raise UpstreamNotConfigured(f"{where}: BACKEND must be the dotted path of a class, {example}")
    try:
        cls = import_string(path)
    except (ImportError, AttributeError) as error:
        raise UpstreamNotConfigured(f"{where}: BACKEND can't be imported: {error}{_meant(path)}") from error
    if not _is_backend(cls):
        raise UpstreamNotConfigured(f"{where}: BACKEND {path} is not a subclass of Backend")
    return cls


def _meant(path: Any) -> str:
    module, _, name = str(path).rpartition(".")
    try:
        found = import_module(module)
    except (ImportError, ValueError):
        module, found = __package__, import_module(__package__)
    # Of ours, a family that nobody has named yet isn't imported.
    names = getattr(found, "__all__", vars(found))
    classes = [each for each in names if _is_backend(getattr(found, each, None))]
    closest = closest_name(name, classes)
    return f"; did you mean '{module}.{closest}'?" if closest else ""


def _is_backend(cls: Any) -> TypeGuard[type[Backend]]:
    return isinstance(cls, type) and issubclass(cls, Backend)


def _unknown(alias: str) -> str:
    names = sorted(conf.upstreams) if isinstance(conf.upstreams, Mapping) else []
    return f"no upstream {alias!r} in JWT_UPSTREAM; it has {alternatives(alias, names)}"
