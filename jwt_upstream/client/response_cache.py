"""Keeps accounts apart in caches of answers: requests-cache and CacheControl know an answer by its URL alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import Any

#: Returns what tells the account of a client from every other one.
Whose = Callable[[], str]

#: The methods of CacheControl's caches whose first argument is a key.
_TAKE_KEY = {"get", "set", "delete", "get_body", "set_body"}


class _Shared:
    """A cache that other clients may use as well: all but the keys is the cache's own, what is set on it included."""

    def __init__(self, cache: Any, whose: Whose) -> None:
        vars(self).update(_cache=cache, _whose=whose)

    def _own(self, key: str) -> str:
        return sha256(f"{self._whose()} {key}".encode()).hexdigest()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._cache, name, value)


class AccountCache(_Shared):
    """A cache of requests-cache with an account's own keys; its look-ups by a URL or a request find nothing."""

    def create_key(self, request: Any, *args: Any, **kwargs: Any) -> str:
        """Return the key of an answer to this account's request."""
        return self._own(self._cache.create_key(request, *args, **kwargs))


class _AccountStore(_Shared):
    """A cache of CacheControl's with an account's own keys."""

    @property  # type: ignore[misc]  # CacheControl asks by isinstance() whether bodies are kept separately
    def __class__(self) -> Any:
        return type(self._cache)

    def __getattr__(self, name: str) -> Any:
        found = super().__getattr__(name)
        return partial(self._with_key, found) if name in _TAKE_KEY else found

    def _with_key(self, method: Callable[..., Any], key: str, *args: Any, **kwargs: Any) -> Any:
        return method(self._own(key), *args, **kwargs)

    def check_owner(self, whose: Whose) -> None:
        if self._whose() != whose():
            raise ValueError("this adapter caches the answers of another account; mount one of its own")


def keep_apart(adapter: Any, whose: Whose) -> None:
    """Have an adapter of CacheControl's use an account's own keys; raises ValueError if it has another account's."""
    controller = getattr(adapter, "controller", None)
    cache = getattr(controller, "cache", None)
    if type(cache) is _AccountStore:
        cache.check_owner(whose)
    elif controller is not None and cache is not None:
        controller.cache = adapter.cache = _AccountStore(cache, whose)
