"""The access tokens that this process has read within the last seconds, so that most calls need no query.

Nothing is cached that only the caller's transaction has: it may be rolled back, as a test's always is.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections import OrderedDict
from copy import copy
from dataclasses import replace
from typing import Any, NamedTuple, Protocol
from weakref import WeakValueDictionary

from django.core.signals import setting_changed
from django.db.models.signals import post_delete, post_migrate, post_save

from jwt_upstream.backends import Backend
from jwt_upstream.conf import conf
from jwt_upstream.models import Credential, rows_updated
from jwt_upstream.process import PerProcess
from jwt_upstream.store import connections, queries
from jwt_upstream.tokens import TokenPair

Scope = tuple[str, str]
_Key = tuple[Scope, str, str]


class Validity:
    """Whether what was read of an account still holds: no more once the account has changed in this process."""

    __slots__ = ("__weakref__", "holds", "pid")

    def __init__(self) -> None:
        self.holds, self.pid = True, os.getpid()


class Token(NamedTuple):
    """What a call is sent with: the backend, the row as it was read, and its access token (no refresh token)."""

    backend: Backend
    row: Credential
    pair: TokenPair
    good_until: float
    validity: Validity
    scope: Scope

    @property
    def is_good(self) -> bool:
        """Whether it may be used without a look at the row: for seconds, in the process that read it."""
        validity = self.validity
        return validity.holds and time.monotonic() < self.good_until and validity.pid == os.getpid()

    @property
    def is_held(self) -> bool:
        """Whether there is no row behind it, as in a test without a database."""
        return self.good_until == math.inf

    @property
    def has_schema(self) -> bool:
        """Whether it holds for a tenant's schema only."""
        return bool(self.scope[1])


class Holder(Protocol):
    """Whoever keeps a token for its next call."""

    def forget(self) -> None:
        """Keep the token no longer if it doesn't hold."""


#: All there are in this process, by their ids; in groups by account, so that what happens to one account does not walk
#: through the clients of ten thousand others. There is no lock that a fork could leave locked.
_holders: list[WeakValueDictionary[int, Holder]] = [WeakValueDictionary() for _ in range(256)]


def register(holder: Holder, account: str) -> None:
    """Have whoever keeps tokens of an account be told when it changes, for as long as it exists."""
    _group(account)[id(holder)] = holder


def _group(account: str) -> WeakValueDictionary[int, Holder]:
    return _holders[hash(account) % len(_holders)]


def _have_forget(group: WeakValueDictionary[int, Holder]) -> None:
    for holder in filter(None, [held() for held in group.valuerefs()]):
        holder.forget()


class TokenCache:
    """The tokens of one process. What happens to an account ends its own, and nobody else's."""

    def __init__(self) -> None:
        self._tokens: OrderedDict[_Key, Token] = OrderedDict()
        # Held by the tokens, and by whoever is just reading a row.
        self._validities: WeakValueDictionary[_Key, Validity] = WeakValueDictionary()
        self._lock = threading.Lock()
        # What tests do, above all: write to the rows, flush the database, override settings. Which rows were changed
        # isn't always known, nor what a row that is saved was called before.
        for signal in (post_save, rows_updated):
            signal.connect(self.invalidate_all, sender=Credential)
        post_delete.connect(self._forget, sender=Credential)
        post_migrate.connect(self.invalidate_all)
        setting_changed.connect(self.invalidate_all)

    def invalidate_all(self, *, created: bool = False, **_: Any) -> None:
        """Have every client of this process read its row again; a row that is new concerns none of them."""
        # The cache of a process that has forked this one is told as well, and a thread of it may have held the lock.
        if created or token_cache() is not self:
            return
        for validity in filter(None, [held() for held in self._validities.valuerefs()]):
            validity.holds = False
        with self._lock:
            self._tokens.clear()
        for group in _holders:
            _have_forget(group)

    def _forget(self, instance: Credential, using: str, **_: Any) -> None:
        """Keep no token and no secret of an account that is deleted in memory."""
        token_cache().invalidate(connections.scope(using), instance.upstream, instance.account)

    def invalidate(self, scope: Scope, upstream: str, account: str) -> None:
        """Have the clients of one account read its row again, and keep no token of it in memory."""
        key = (scope, upstream, account)
        if validity := self._validities.get(key):
            validity.holds = False
        with self._lock:
            self._tokens.pop(key, None)
        _have_forget(_group(account))

    def validity(self, scope: Scope, upstream: str, account: str) -> Validity:
        """Return what ends with the next change of an account: to be asked for before its row is read."""
        key = (scope, upstream, account)
        with self._lock:
            validity = self._validities.get(key)
            if validity is None or not validity.holds:
                self._validities[key] = validity = Validity()
            return validity

    def find(self, upstream: str, account: str) -> Token | None:
        """Return what any client of this process read a moment ago; not inside a test's transaction."""
        using = queries.database()
        token = self._tokens.get((connections.scope(using), upstream, account))
        if token is None or not token.is_good:
            return None
        return token if token.is_held or not connections.must_join(using) else None

    def find_anywhere(self, upstream: str, account: str) -> Token | None:
        """Return what ``find`` returns, also in a thread without the caller's connection.

        A test's own transaction may be overlooked: in one nothing is cached, and what was before ends with the first
        row that the test writes. None where each tenant has a schema, which only the connection knows.
        """
        using = queries.database()
        token = self._tokens.get(((using, ""), upstream, account))
        return token if token and token.is_good and not connections.has_schemas(using) else None

    def hold(self, backend: Backend, account: str, pair: TokenPair) -> None:
        """Have calls use a token for which there is no row; see ``hold_token``."""
        scope, row = connections.scope(queries.database()), Credential(upstream=backend.alias, account=account)
        validity = self.validity(scope, backend.alias, account)
        token = Token(backend, row, replace(pair, refresh=""), math.inf, validity, scope)
        self._share((scope, backend.alias, account), token)

    def last(self, upstream: str, account: str) -> Token | None:
        """Return what ``find`` returned last, also if the row should be read by now; None if the account has changed.

        For a process whose settings are others than those of whoever has replaced the tokens in the row.
        """
        using = queries.database()
        token = self._tokens.get((connections.scope(using), upstream, account))
        if token is None or connections.must_join(using):
            return None
        return token if token.validity.holds and token.validity.pid == os.getpid() else None

    def add(self, backend: Backend, row: Credential, pair: TokenPair, validity: Validity) -> Token:
        """Return the token for the client that read it, and let others share it.

        ``validity`` is the one from before the row was read. Must run where the caller's connection is.
        """
        using, seconds = queries.database(), conf.cache_seconds
        scope, is_private = connections.scope(using), connections.in_transaction(using)
        # What a test's transaction holds must not outlive it in a client that does.
        if connections.must_join(using):
            seconds = 0.0
        if pair.access_expires_at:
            seconds = min(seconds, (pair.access_expires_at - row.now()).total_seconds() / 2)
        token = Token(
            backend, _without_tokens(row), replace(pair, refresh=""), time.monotonic() + seconds, validity, scope
        )
        if seconds > 0 and not is_private:
            self._share((scope, row.upstream, row.account), token)
        return token

    def _share(self, key: _Key, token: Token) -> None:
        with self._lock:
            self._tokens[key] = token
            self._tokens.move_to_end(key)
            if not token.validity.holds:  # the account has changed since its row was read
                del self._tokens[key]
            # In about the order in which they expire, so a token is not kept for long after its last call either.
            while self._tokens and self._has_excess():
                self._tokens.popitem(last=False)

    def _has_excess(self) -> bool:
        return len(self._tokens) > conf.cache_entries or not next(iter(self._tokens.values())).is_good


def _without_tokens(row: Credential) -> Credential:
    """Return a row without its encrypted tokens, most of its size; whoever asks for them has them read again."""
    bare = copy(row)
    for name in ("access_token", "refresh_token", "answer"):
        vars(bare).pop(name, None)
    bare.__dict__ = dict(vars(bare))  # which is half as large: the other one keeps room for what was taken out
    return bare


token_cache = PerProcess(TokenCache)


def hold_token(backend: Backend, account: str, pair: TokenPair) -> None:
    """Have this process's calls use a token for which there is no row, in a test that may not use the database.

    It ends when it is released, and when a setting changes.
    """
    token_cache().hold(backend, account, pair)


def release_token(upstream: str, account: str) -> None:
    """Undo ``hold_token``."""
    token_cache().invalidate(connections.scope(queries.database()), upstream, account)
