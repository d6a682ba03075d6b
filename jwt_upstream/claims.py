"""Reading a credential and writing to it by compare-and-swap, each in one short transaction; knows no HTTP.

Every function takes the database alias and a row as it was read, and does nothing if the row has moved on since. What
it returns is a copy of the row as it is now, or the event, whose ``credential`` is such a copy.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from django.db import IntegrityError, connections, router, transaction
from django.utils import timezone

from .conf import conf
from .fields import DecryptionError, Encrypted
from .models import Credential, Event
from .tokens import TokenPair, fingerprint

State = Credential.State
Kind = Event.Kind

_HEALTHY = {
    **{"state": State.ACTIVE, "reason": "", "failed_fingerprint": "", "unhelped_until": None},
    **{"failures": 0, "failing_since": None, "failure": "", "failure_verdict": "", "next_attempt_at": None},
}
_NO_CLAIM = {"claim": "", "claim_expires_at": None}
_NOTHING = TokenPair("")
_INTERRUPTED = "a worker claimed a refresh and never settled it; whether the upstream rotated the token is unknown"


def database() -> str:
    """Return the alias that credentials are written to; they are read from there too, since replicas lag."""
    return router.db_for_write(Credential)


def find(upstream: str, account: str, using: str) -> Credential | None:
    """Return the row of an account, if there is one."""
    # Not first(), whose ORDER BY takes Django a sixth of the query's time to write.
    return next(iter(Credential.objects.using(using).filter(upstream=upstream, account=account).order_by()), None)


def reread(row: Credential, using: str) -> Credential | None:
    """Return the row as it is now, None if it is gone (or not yet committed)."""
    return next(iter(Credential.objects.using(using).filter(pk=row.pk).order_by()), None)


def claim(row: Credential, using: str) -> tuple[Credential, Event | None] | None:
    """Take the sole right to refresh for a while; None if somebody else was faster.

    Returns the claimed row, and the event if a worker before us took the claim and never settled it. Raises
    OperationalError at once if another transaction holds the row: locks of ours last milliseconds.
    """
    now = timezone.now()
    columns: dict[str, Any] = {"claim": uuid4().hex, "claim_expires_at": now + timedelta(seconds=conf.claim_seconds)}
    columns |= {"interrupted_at": row.claim_expires_at} if row.claim else {}
    # All that spoke for claiming it: the claim alone looks untouched again once somebody else has failed and settled.
    read = ("claim", "failures", "unhelped_until", "refresh_token")
    with _locked(row, using, state=State.ACTIVE, **{name: getattr(row, name) for name in read}) as there:
        if there is None:
            return None
        claimed = _update(there, using, columns)
        return claimed, _record(claimed, there, using, Kind.INTERRUPTED, reason=_INTERRUPTED) if row.claim else None


@contextmanager
def _locked(row: Credential, using: str, **expected: Any) -> Iterator[Credential | None]:
    """Give the row as it is now and stays until this is left; None if it has moved on or is not as expected."""
    features = connections[using].features
    rows = Credential.objects.using(using).filter(pk=row.pk, generation=row.generation, **expected)
    with transaction.atomic(using=using):
        if features.has_select_for_update:
            # Never waits: it might be for our own caller, who waits for us. no_key: a plain FOR UPDATE makes inserts
            # of events wait on PostgreSQL (measured: 818 ms against 1 ms).
            rows = rows.select_for_update(
                nowait=features.has_select_for_update_nowait, no_key=features.has_select_for_no_key_update
            )
        else:  # SQLite, where only writing locks
            rows.update(generation=row.generation)
        yield next(iter(rows.order_by()), None)


def settle_pair(
    row: Credential, pair: TokenPair, using: str, *, kind: Kind = Kind.REFRESHED, **event: Any
) -> Event | None:
    """Store what a refresh (or an automatic login) brought, if no other pair was stored since.

    It need not be our claim any more: a worker that was frozen past it still holds the newest pair there is.
    """
    with _locked(row, using) as there:
        return _write(there, using, kind, _stored(there or row, pair), **event)


def settle_state(
    row: Credential, state: str, using: str, *, reason: str, failed_login: str = "", **event: Any
) -> Event | None:
    """Record that the upstream refused what was stored: rejected or locked; the tokens stay for diagnosis.

    ``failed_login`` stands for the automatic login that was refused as well, so that it isn't tried again. If an
    answer to a call has locked the credential meanwhile it stays so: one trouble is told once.
    """
    kind, columns = Kind.FAILED, {**_NO_CLAIM, "failed_login": failed_login}
    with _locked(row, using, claim=row.claim, refresh_token=row.refresh_token) as there:
        if there and there.state == State.ACTIVE:
            kind, columns = Kind(state), columns | _failed(there, state, reason)
        return _write(there, using, kind, columns, reason=reason, **event)


def settle_failure(
    row: Credential, pause: float, using: str, *, reason: str, verdict: str, is_ambiguous: bool, **event: Any
) -> Event | None:
    """Record an attempt that failed for now, and when the next one may be made."""
    now = timezone.now()
    with _locked(row, using, claim=row.claim) as there:
        if there is None:
            return None
        columns = {
            "failures": there.failures + 1,
            "failing_since": there.failing_since or now,
            "failure": reason,
            "failure_verdict": verdict,
            "next_attempt_at": now + timedelta(seconds=pause),
            "interrupted_at": now if is_ambiguous else there.interrupted_at,
            **_NO_CLAIM,
        }
        return _write(there, using, Kind.FAILED, columns, reason=reason, verdict=verdict, **event)


def mark(row: Credential, state: str, using: str, *, reason: str, **event: Any) -> Event | None:
    """Record what an answer to a call, or the failing key, says of the tokens as they were read."""
    expected = {"state": State.ACTIVE, "access_token": row.access_token, "refresh_token": row.refresh_token}
    with _locked(row, using, **expected) as there:
        return _write(there, using, Kind(state), _failed(there or row, state, reason), reason=reason, **event)


def restore(row: Credential, using: str, *, reason: str, **event: Any) -> Event | None:
    """Have a credential tried again with the tokens it has."""
    since = row.since if row.state == State.ACTIVE else timezone.now()
    with _locked(row, using, state=row.state) as there:
        return _write(there, using, Kind.RESTORED, {**_HEALTHY, "since": since}, reason=reason, **event)


def leave_alone(row: Credential, until: datetime, using: str) -> None:
    """Note that a fresh token did not help against a 401, so that it is not replaced again before ``until``."""
    with _locked(row, using) as there:
        if there:
            _update(there, using, {"unhelped_until": until})


def log_in(upstream: str, account: str, pair: TokenPair, using: str, *, username: str, **event: Any) -> Event:
    """Store a pair that a login brought or that was adopted, whatever was there before; beats a running refresh."""
    while True:
        row = find(upstream, account, using)
        if row is None:
            written = _insert(Credential(upstream=upstream, account=account), pair, using, username, event)
        else:
            with _locked(row, using) as there:
                columns = {**_stored(there or row, pair), "username": username}
                written = _write(there, using, Kind.LOGGED_IN, columns, **event)
        if written:
            return written


def _insert(new: Credential, pair: TokenPair, using: str, username: str, event: dict[str, Any]) -> Event | None:
    after = copy(new)
    for name, value in {**_stored(new, pair), "username": username}.items():
        setattr(after, name, value)
    try:
        with transaction.atomic(using=using):
            after.save(using=using, force_insert=True)
            return _record(after, new, using, Kind.LOGGED_IN, **event)
    except IntegrityError:  # somebody else's first login
        return None


def begin(upstream: str, account: str, using: str) -> Credential:
    """Return the row of an account which has yet to log in by itself; made if there is none."""
    rows = Credential.objects.using(using)
    return rows.get_or_create(upstream=upstream, account=account, defaults={"state": State.ACTIVE})[0]


def log_out(row: Credential, using: str, **event: Any) -> Event | None:
    """Forget the tokens on purpose."""
    columns = {**_stored(row, _NOTHING), "state": State.LOGGED_OUT, "since": timezone.now(), "reason": "logged out"}
    with _locked(row, using) as there:
        return _write(there, using, Kind.LOGGED_OUT, columns, **event)


def _stored(row: Credential, pair: TokenPair) -> dict[str, Any]:
    now = timezone.now()
    return {
        "access_token": Encrypted.seal(pair.access),
        "refresh_token": Encrypted.seal(pair.refresh),
        "access_expires_at": pair.access_expires_at,
        "refresh_expires_at": pair.refresh_expires_at,
        "obtained_at": now,
        "generation": row.generation + 1,
        "since": row.since if row.state == State.ACTIVE and row.pk else now,
        "failed_login": "",
        "interrupted_at": None,
        **_HEALTHY,
        **_NO_CLAIM,
    }


def _failed(row: Credential, state: str, reason: str) -> dict[str, Any]:
    # Tied to the very tokens that failed: others, whoever stored them, void it.
    failed = "" if state == State.UNREADABLE else row.pair.fingerprint
    return {"state": state, "reason": reason, "since": timezone.now(), "failed_fingerprint": failed}


def _write(there: Credential | None, using: str, kind: Kind, columns: dict[str, Any], **event: Any) -> Event | None:
    return _record(_update(there, using, columns), there, using, kind, **event) if there else None


def _update(there: Credential, using: str, columns: dict[str, Any]) -> Credential:
    Credential.objects.using(using).filter(pk=there.pk).update(**columns)
    after = copy(there)
    for name, value in columns.items():
        setattr(after, name, value)
    return after


def _record(after: Credential, before: Credential, using: str, kind: Kind, *, by: str = "", **event: Any) -> Event:
    try:
        pair = after.pair
    except DecryptionError:
        pair = _NOTHING
    return Event.objects.using(using).create(
        credential=after,
        upstream=after.upstream,
        account=after.account,
        kind=kind,
        state_before=before.state if before.pk else "",
        state=after.state,
        access_fingerprint=fingerprint(pair.access),
        refresh_fingerprint=fingerprint(pair.refresh),
        by=f"{by} ({_worker()})" if by else _worker(),
        **event,
    )


def _worker() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"
