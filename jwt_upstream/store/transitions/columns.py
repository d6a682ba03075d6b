"""The columns that changes of a credential write, by what has become of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from jwt_upstream.models import Credential
from jwt_upstream.tokens import TokenPair

State = Credential.State

RESTORED = {
    "state": State.ACTIVE,
    "reason": "",
    "failed_fingerprint": "",
    "failed_login": "",
    "unreadable_since": None,
    "refresh_suppressed_until": None,
    "next_attempt_at": None,
}
HEALTHY = {**RESTORED, "failures": 0, "failing_since": None, "failure": "", "failure_verdict": ""}
NO_LEASE = {"lease": "", "lease_expires_at": None}
#: A refresh token whose lifetime goes on whatever is refreshed is not kept alive at ever shorter intervals.
_SOONEST_KEEP_ALIVE = timedelta(minutes=5)


def stored_pair(
    row: Credential, pair: TokenPair, keep_alive: float = 0.0, obtained_for: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the columns of a row that gets a pair, whatever was there before."""
    now = row.now()
    return {
        "access_token": row.seal("access_token", pair.access),
        "refresh_token": row.seal("refresh_token", pair.refresh),
        "answer": row.seal("answer", pair.answer.as_json()),
        "access_expires_at": pair.access_expires_at,
        "refresh_expires_at": pair.refresh_expires_at,
        "obtained_at": now,
        "keep_alive_at": _keep_alive_at(pair, now, keep_alive),
        "generation": row.generation + 1,
        "obtained_for": dict(obtained_for or {}),
        "since": row.since if row.state == State.ACTIVE and row.pk else now,
        "interrupted_at": None,
        **HEALTHY,
        **NO_LEASE,
    }


def _keep_alive_at(pair: TokenPair, now: datetime, days: float) -> datetime | None:
    """Return when to refresh a pair that nobody uses: in good time before its refresh token lapses, if that is known.

    None if its access token expires before that, and so is refreshed anyway.
    """
    if not pair.refresh or not days:
        return None
    after = timedelta(days=days)
    if pair.refresh_expires_at:
        after = min(after, max((pair.refresh_expires_at - now) / 2, _SOONEST_KEEP_ALIVE))
    return None if pair.access_expires_at and pair.access_expires_at <= now + after else now + after
