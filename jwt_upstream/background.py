"""Refreshing ahead of the calls: one bounded round, for a timer or a task queue to start again and again."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain, zip_longest

from django.utils import timezone

from jwt_upstream.backends import get_backend
from jwt_upstream.conf import conf
from jwt_upstream.exceptions import CredentialError, UpstreamError, UpstreamNotConfigured
from jwt_upstream.models import Credential
from jwt_upstream.refresh import refresh, stored
from jwt_upstream.store import queries

__all__ = [
    "Round",
    "refresh_due",
]

#: So many failures in a row, and the upstream is left to the next round, lest it keep the others waiting.
_MAX_CONSECUTIVE_FAILURES = 3


@dataclass
class Round:
    """What came of one: how many credentials were refreshed, failed for now or need a human, and who was given up."""

    refreshed: int = 0
    failed: int = 0
    need_human: int = 0
    given_up: list[str] = field(default_factory=list)
    _consecutive_failures: Counter[str] = field(default_factory=Counter, repr=False)

    @property
    def tried(self) -> int:
        """How many attempts there were."""
        return self.refreshed + self.failed + self.need_human

    def attempt(self, row: Credential) -> None:
        """Refresh one credential, unless another worker did so meanwhile, and note what came of it."""
        try:
            backend = get_backend(row.upstream)
            refresh(row, rejected=stored(row, backend).access, backend=backend)
        except CredentialError:  # an upstream that refuses is not down
            self.need_human += 1
            self._consecutive_failures[row.upstream] = 0
        except UpstreamError:
            self.failed += 1
            self._consecutive_failures[row.upstream] += 1
            if self._consecutive_failures[row.upstream] == _MAX_CONSECUTIVE_FAILURES:
                self.given_up.append(row.upstream)
        else:
            self.refreshed += 1
            self._consecutive_failures[row.upstream] = 0


def refresh_due(
    *, limit: int = 1000, seconds: float = 50.0, ahead: float = 60.0, upstreams: Sequence[str] = ()
) -> Round:
    """Refresh credentials that calls would have to refresh within ``ahead`` seconds, the nearest end first.

    Makes at most ``limit`` attempts, begins none after ``seconds``, and takes the upstreams in turn, so that one with
    many credentials, or one that is down, doesn't keep the others waiting. Credentials which rest after a failure, or
    which another worker is refreshing, are left alone. Raises nothing for what upstreams do.
    """
    result, end = Round(), time.monotonic() + seconds
    using = queries.database()
    for upstream, key in _in_turn(
        {name: _keys(name, ahead, limit, using, result) for name in upstreams or conf.upstreams}
    ):
        if result.tried >= limit or time.monotonic() >= end:
            break
        row = None if upstream in result.given_up else queries.reread(Credential(pk=key), using)
        if row and _is_due(row, ahead):
            result.attempt(row)
    return result


def _keys(upstream: str, ahead: float, limit: int, using: str, result: Round) -> list[int]:
    try:
        leeway = get_backend(upstream).refresh_leeway
    except UpstreamNotConfigured:
        result.given_up.append(upstream)
        return []
    return queries.due(upstream, timezone.now() + timedelta(seconds=ahead + leeway), limit, using)


def _in_turn(keys: dict[str, list[int]]) -> Iterator[tuple[str, int]]:
    pairs = ([(upstream, key) for key in found] for upstream, found in keys.items())
    return filter(None, chain.from_iterable(zip_longest(*pairs)))


def _is_due(row: Credential, ahead: float) -> bool:
    backend, now = get_backend(row.upstream), timezone.now()
    if row.state != Credential.State.ACTIVE or row.is_leased(now):
        return False
    if not row.is_due(now + timedelta(seconds=ahead), backend.refresh_leeway):
        return False
    # Without a refresh token there is nothing to be had before the access token's end.
    return row.has_expired(now) or bool(row.refresh_token) or not backend.needs_refresh_token
