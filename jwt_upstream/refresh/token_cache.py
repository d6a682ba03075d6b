"""The access tokens that this process has read within the last seconds, so that most calls need no query.

Nothing is cached that only the caller's transaction has: it may be rolled back, as a test's always is.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import replace
from typing import Any, NamedTuple

from django.core.signals import setting_changed
from django.db.models.signals import post_delete, post_migrate, post_save

from jwt_upstream.backends import Backend
from jwt_upstream.conf import conf
from jwt_upstream.models import Credential, rows_updated
from jwt_upstream.process import PerProcess
from jwt_upstream.store import connections, queries
from jwt_upstream.tokens import TokenPair

#: The most credentials that are cached at a time: about 5 MB of a worker, however many it serves.
CACHE_ENTRIES = 1000

_Scope = tuple[str, str]
_Key = tuple[_Scope, str, str]


class Token(NamedTuple):
    """What a call is sent with: the backend, the row as it was read, and its access token (no refresh token)."""

    backend: Backend
    row: Credential
    pair: TokenPair
    good_until: float
    version: object
    scope: _Scope

    @property
    def is_good(self) -> bool:
        """Whether it may be used without a look at the row: for seconds, and until a credential here changes."""
        return self.version is token_cache().version and time.monotonic() < self.good_until

    @property
    def has_schema(self) -> bool:
        """Whether it holds for a tenant's schema only."""
        return bool(self.scope[1])


class TokenCache:
    """The tokens of one process. ``version`` is replaced whenever a credential changes, which ends all of them."""

    def __init__(self) -> None:
        self.version = object()
        self._tokens: OrderedDict[_Key, Token] = OrderedDict()
        self._lock = threading.Lock()
        # What tests do, above all: write to the rows, flush the database, override settings.
        for signal in (post_save, post_delete, rows_updated):
            signal.connect(self.invalidate, sender=Credential)
        post_migrate.connect(self.invalidate)
        setting_changed.connect(self.invalidate)

    def invalidate(self, **_: Any) -> None:
        """Have every client of this process read its row again."""
        self.version = object()

    def find(self, upstream: str, account: str) -> Token | None:
        """Return what any client of this process read a moment ago; not inside a test's transaction."""
        using = queries.database()
        token = self._tokens.get((connections.scope(using), upstream, account))
        return token if token and token.is_good and not connections.must_join(using) else None

    def add(self, backend: Backend, row: Credential, pair: TokenPair, version: object) -> Token:
        """Return the token for the client that read it, and let others share it.

        ``version`` is the one from before the row was read. Must run where the caller's connection is.
        """
        using, seconds = queries.database(), conf.cache_seconds
        if pair.access_expires_at:
            seconds = min(seconds, (pair.access_expires_at - row.now()).total_seconds() / 2)
        # What a test's transaction holds must not outlive it in a client that does.
        if connections.must_join(using):
            seconds = 0.0
        scope = connections.scope(using)
        token = Token(backend, row, replace(pair, refresh=""), time.monotonic() + seconds, version, scope)
        if seconds > 0 and not connections.in_transaction(using):
            self._share((scope, row.upstream, row.account), token)
        return token

    def _share(self, key: _Key, token: Token) -> None:
        with self._lock:
            self._tokens[key] = token
            self._tokens.move_to_end(key)
            # In about the order in which they expire, so a token is not kept for long after its last call either.
            while self._tokens and self._has_excess():
                self._tokens.popitem(last=False)

    def _has_excess(self) -> bool:
        return len(self._tokens) > CACHE_ENTRIES or not next(iter(self._tokens.values())).is_good


token_cache = PerProcess(TokenCache)
