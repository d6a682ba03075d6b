"""Background refresh: one bounded round, which a timer or a task queue starts again and again."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain, zip_longest

from jwt_upstream.backends import get_backend
from jwt_upstream.conf import conf
from jwt_upstream.exceptions import CredentialError, UpstreamError, UpstreamNotConfigured
from jwt_upstream.models import Credential
from jwt_upstream.refresh import is_suppressed, refresh, stored
from jwt_upstream.store import queries

__all__ = [
    "Round",
    "refresh_due",
]

logger = logging.getLogger("jwt_upstream")

#: After so many failures in a row an upstream is skipped until the next round, so that it doesn't delay the others.
_MAX_CONSECUTIVE_FAILURES = 3


@dataclass
class Round:
    """The result of one round: how many credentials were refreshed, failed or need a human, and upstreams skipped."""

    refreshed: int = 0
    failed: int = 0
    need_human: int = 0
    given_up: list[str] = field(default_factory=list)
    _consecutive_failures: Counter[str] = field(default_factory=Counter, repr=False)

    @property
    def tried(self) -> int:
        """How many attempts were made."""
        return self.refreshed + self.failed + self.need_human

    def attempt(self, row: Credential) -> None:
        """Refresh one credential, unless another worker has done so meanwhile, and count the result."""
        try:
            backend = get_backend(row.upstream)
            refresh(row, rejected=stored(row, backend).access, backend=backend)
        except CredentialError:  # an upstream that refuses a token is not down
            self.need_human += 1
            self._consecutive_failures[row.upstream] = 0
        except UpstreamError:
            self.failed += 1
            self._consecutive_failures[row.upstream] += 1
            if self._consecutive_failures[row.upstream] == _MAX_CONSECUTIVE_FAILURES:
                self.given_up.append(row.upstream)
        except Exception as error:
            # A bug in somebody's backend, a row that the database refuses: no credential's trouble stops the others'.
            # Neither the text nor the frames, which may hold tokens, go anywhere.
            logger.error("%s: not refreshed: %s", row, type(error).__name__)
            self.failed += 1
        else:
            self.refreshed += 1
            self._consecutive_failures[row.upstream] = 0


def refresh_due(
    *, limit: int = 1000, seconds: float = 50.0, ahead: float = 60.0, upstreams: Sequence[str] = ()
) -> Round:
    """Refresh credentials that calls would have to refresh within ``ahead`` seconds, in the order of their expiry.

    Makes at most ``limit`` attempts and begins none after ``seconds``. Upstreams take turns, so that one that has many
    credentials or is down doesn't delay the others. Credentials in backoff, or that another worker is refreshing, are
    skipped. Raises nothing for what upstreams do.
    """
    result, deadline = Round(), time.monotonic() + seconds
    using = queries.database()
    for upstream, key in _in_turn(
        {name: _keys(name, ahead, limit, using, result) for name in upstreams or conf.upstreams}
    ):
        if result.tried >= limit or time.monotonic() >= deadline:
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
    now = queries.clock(using).now()
    return queries.due(upstream, now, now + timedelta(seconds=ahead + leeway), limit, using)


def _in_turn(keys: dict[str, list[int]]) -> Iterator[tuple[str, int]]:
    pairs = ([(upstream, key) for key in found] for upstream, found in keys.items())
    return filter(None, chain.from_iterable(zip_longest(*pairs)))


def _is_due(row: Credential, ahead: float) -> bool:
    backend, now = get_backend(row.upstream), row.now()
    if row.state != Credential.State.ACTIVE or row.is_leased(now) or is_suppressed(row, backend):
        return False
    if not row.is_due(now + timedelta(seconds=ahead), backend.refresh_leeway):
        return False
    # Without a refresh token nothing can be done before the access token expires.
    return row.has_expired(now) or bool(row.refresh_token) or not backend.needs_refresh_token
