"""Changes of a credential, each a compare-and-swap in one short transaction.

Every function takes a row as it was read and the database alias, and changes nothing if the row has moved on since.
Most return the event, whose ``credential`` is a copy of the row as it is now, or None if nothing was changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import IntegrityError, connections, transaction
from django.db.models import QuerySet

from jwt_upstream.conf import conf
from jwt_upstream.models import Credential, Event, Incident
from jwt_upstream.store import incidents, statements
from jwt_upstream.store.history import EventDetails, forget_recorded, record, storable
from jwt_upstream.store.queries import clock, find, one
from jwt_upstream.tokens import TokenPair

from .columns import NO_LEASE, RESTORED, stored_pair

State = Credential.State
Kind = Event.Kind

_NO_TOKENS = TokenPair("")
_INTERRUPTED = EventDetails(
    "a worker took the lease for a refresh and never settled it; whether the upstream rotated the token is unknown"
)
#: What others may change while a worker has the lease, of what decides how its pair is stored: the time of a change of
#: the state is changed with that.
_UNCHANGED_UNDER_LEASE = ("upstream", "account", "generation", "state", "lease")
#: What must be unchanged since the look. The lease alone isn't enough: it is free again after another's failure.
_READ_FOR_LEASE = (*_UNCHANGED_UNDER_LEASE, "failures", "refresh_suppressed_until", "refresh_token")


def take_lease(row: Credential, lease: str, using: str) -> tuple[Credential, Event | None] | None:
    """Take the sole right to refresh a credential for a while; None if another worker was faster.

    ``lease`` names the holder (see ``new_lease``). Returns the leased row, and the event if a worker before us took
    the lease and never settled it. Raises the database's error at once if another transaction holds the row: our own
    locks last milliseconds.
    """
    if row.state != State.ACTIVE:
        return None
    columns = {"lease": lease, "lease_expires_at": _after(row, conf.lease_seconds)}
    if row.lease:
        columns["interrupted_at"] = row.lease_expires_at
    forget_recorded()
    with transaction.atomic(using=using):
        if not statements.update_unchanged(row, columns, _READ_FOR_LEASE, using):
            return None
        leased = _changed(row, columns)
        return leased, record(leased, row, using, Kind.INTERRUPTED, _INTERRUPTED) if row.lease else None


def check_lock(row: Credential, using: str) -> None:
    """Raise the database's error if another transaction keeps the row from being changed; changes nothing."""
    with _locked(row, using):
        pass


@contextmanager
def _locked(row: Credential, using: str, **expected: Any) -> Iterator[Credential | None]:
    """Lock the row and give it as it is now; None if it has moved on or is not as expected."""
    forget_recorded()
    features = connections[using].features
    rows = _rows(using).filter(pk=row.pk, generation=row.generation, **expected)
    with transaction.atomic(using=using):
        if features.has_select_for_update:
            rows = rows.select_for_update(**statements.lock_options(using))
        else:  # SQLite, where only a write takes a lock
            rows.update(generation=row.generation)
        yield one(rows)


def settle_pair(
    row: Credential,
    pair: TokenPair,
    using: str,
    kind: Kind,
    details: EventDetails,
    suppressed_for: float = 0.0,
    keep_alive: float = 0.0,
    obtained_for: Mapping[str, str] | None = None,
) -> Event | None:
    """Store what a refresh (or an automatic login) brought, if no other pair was stored since.

    Where it brought nothing better, no 401 causes another refresh ``suppressed_for`` so many seconds. If the access
    token lasts longer, the pair is to be refreshed after ``keep_alive`` days (0: never).

    The lease need not be ours any more: a worker that was frozen for longer still holds the newest pair there is.
    """
    brought = partial(_brought, pair=pair, suppressed_for=suppressed_for, keep_alive=keep_alive, binding=obtained_for)
    forget_recorded()
    with transaction.atomic(using=using):
        columns = brought(row)
        if statements.update_unchanged(row, columns, _UNCHANGED_UNDER_LEASE, using):
            return record(_changed(row, columns), row, using, kind, details, pair)
    with _locked(row, using) as there:
        return _write(there, using, kind, brought(there or row), details, pair)


def _brought(
    row: Credential, pair: TokenPair, suppressed_for: float, keep_alive: float, binding: Mapping[str, str] | None
) -> dict[str, Any]:
    columns = stored_pair(row, pair, keep_alive, binding)
    columns["worked_at"] = columns["obtained_at"]
    return columns | ({"refresh_suppressed_until": _after(row, suppressed_for)} if suppressed_for else {})


def release_lease(row: Credential, using: str) -> None:
    """Give a lease back of which nothing came, so that nobody waits for it."""
    with _locked(row, using, lease=row.lease) as there:
        if there:
            _update(there, using, NO_LEASE)


def settle_refusal(
    row: Credential, state: str, using: str, details: EventDetails, failed_login: str = ""
) -> Event | None:
    """Record that the upstream refused what was stored: rejected or locked; the tokens stay, for diagnosis.

    ``failed_login`` is the fingerprint of the automatic login that was refused as well, so that it isn't tried again.
    If an answer to a call has locked the credential meanwhile it stays locked, so that one incident is told once.
    Parameters or secrets that the account has got meanwhile nobody has refused: only the lease is given back.
    """
    kind, columns = Kind.FAILED, {**NO_LEASE, "failed_login": failed_login}
    with _locked(row, using, lease=row.lease, refresh_token=row.refresh_token) as there:
        if there and _has_other_values(there, row):
            _update(there, using, NO_LEASE)
            return None
        if there and there.state == State.ACTIVE:
            kind, columns = Kind(state), columns | _failed(there, state, details.reason)
        return _write(there, using, kind, columns, details)


def settle_failure(
    row: Credential,
    backoff: float,
    using: str,
    details: EventDetails,
    *,
    is_ambiguous: bool,
    is_refused: bool = False,
    failed_login: str = "",
) -> Event | None:
    """Record an attempt that failed for now; the next one may be made after ``backoff`` seconds.

    ``is_refused`` means that the refresh token was refused, but not the automatic login in its place: it is not sent
    again before that login works. ``failed_login`` is the fingerprint of an automatic login that was refused, if that
    says nothing of the tokens. With other parameters or secrets the next attempt may be made at once.
    """
    with _locked(row, using, lease=row.lease) as there:
        if there is None:
            return None
        now = there.now()
        interrupted_at = now if is_ambiguous else there.interrupted_at
        if _has_other_values(there, row):
            _update(there, using, {**NO_LEASE, "interrupted_at": interrupted_at})
            return None
        columns = {
            "failures": there.failures + 1,
            "failing_since": there.failing_since or now,
            "failure": storable(details.reason),
            "failure_verdict": details.verdict,
            "next_attempt_at": _after(there, backoff),
            "interrupted_at": interrupted_at,
            "failed_fingerprint": there.pair.fingerprint if is_refused else there.failed_fingerprint,
            "failed_login": failed_login or there.failed_login,
            **NO_LEASE,
        }
        return _write(there, using, Kind.FAILED, columns, details)


def _has_other_values(there: Credential, row: Credential) -> bool:
    """Tell whether an account has got other parameters or secrets than those that it was tried with."""
    return (there.parameters, there.secrets) != (row.parameters, row.secrets)


def mark(row: Credential, state: str, using: str, details: EventDetails) -> Event | None:
    """Record what an answer to a call says of the tokens as they were read."""
    with _locked(row, using, state=State.ACTIVE, **_tokens(row)) as there:
        return _write(there, using, Kind(state), _failed(there or row, state, details.reason), details)


def mark_unreadable(row: Credential, seconds: float, using: str, details: EventDetails) -> Event | None:
    """Record that no key decrypts the tokens as they were read, once that has been so for a number of seconds."""
    since = row.unreadable_since or row.now()
    with _locked(row, using, state=State.ACTIVE, unreadable_since=row.unreadable_since, **_tokens(row)) as there:
        if there and there.now() - since < timedelta(seconds=seconds):
            _update(there, using, {"unreadable_since": since})
            return None
        columns = {**_failed(there or row, State.UNREADABLE, details.reason), "since": since}
        return _write(there, using, Kind.UNREADABLE, columns, details)


def note_readable(row: Credential, using: str) -> None:
    """Note that a key decrypts what another process could not."""
    with _locked(row, using, unreadable_since=row.unreadable_since) as there:
        if there:
            _update(there, using, {"unreadable_since": None})


def restore(row: Credential, using: str, details: EventDetails) -> Event | None:
    """Make a credential active again with the tokens it has; since when refreshes fail is kept until one works."""
    since = row.since if row.state == State.ACTIVE else row.now()
    with _locked(row, using, state=row.state) as there:
        return _write(there, using, Kind.RESTORED, {**RESTORED, "since": since}, details)


def rebind(row: Credential, obtained_for: Mapping[str, str], using: str, details: EventDetails) -> Event | None:
    """Bind the tokens of a row to other settings, on a person's word, if they are bound as they were when it was read.

    A refresh that is under way keeps its lease, and binds what it brings.
    """
    with _locked(row, using) as there:
        if there is None or there.obtained_for != row.obtained_for:
            return None
        columns = {"obtained_for": dict(obtained_for), "next_attempt_at": None, "failed_login": ""}
        return _write(there, using, Kind.REBOUND, columns, details)


def suppress_refresh(row: Credential, seconds: float, using: str) -> None:
    """Note that a fresh token got a 401 as well, so that for some seconds no 401 has it replaced."""
    with _locked(row, using) as there:
        if there:
            _update(there, using, {"refresh_suppressed_until": _after(there, seconds)})


def log_in(
    upstream: str,
    account: str,
    pair: TokenPair,
    using: str,
    *,
    username: str,
    details: EventDetails,
    keep_alive: float = 0.0,
    obtained_for: Mapping[str, str] | None = None,
) -> Event:
    """Store a pair from a login or from elsewhere, whatever was there before; it beats a running refresh."""
    while True:
        row = find(upstream, account, using)
        if row is None:
            new = Credential(upstream=upstream, account=account)
            new.clock = clock(using)
            columns = _logged_in(stored_pair(new, pair, keep_alive, obtained_for), username, details)
            event = _insert(new, columns, using, details)
        else:
            with _locked(row, using) as there:
                stored = stored_pair(there or row, pair, keep_alive, obtained_for)
                columns = _logged_in(stored, username, details)
                event = _write(there, using, Kind.LOGGED_IN, columns, details)
        if event:
            return event


def _logged_in(stored: dict[str, Any], username: str, details: EventDetails) -> dict[str, Any]:
    columns = {**stored, "username": username}
    # Tokens that were adopted say nothing of the upstream, which nobody has asked.
    return columns | ({"worked_at": columns["obtained_at"]} if details.status_code else {})


def _insert(
    new: Credential, columns: dict[str, Any], using: str, details: EventDetails, kind: Kind = Kind.LOGGED_IN
) -> Event | None:
    forget_recorded()
    after = _changed(new, columns)
    try:
        with transaction.atomic(using=using):
            statements.limit_wait(using)
            after.save(using=using, force_insert=True)
            return record(after, new, using, kind, details)
    except IntegrityError:
        if find(new.upstream, new.account, using) is None:
            raise
        return None  # somebody else's first login


def add(
    upstream: str, account: str, values: Mapping[str, Any], using: str, details: EventDetails, *, is_active: bool
) -> Event | None:
    """Insert an account with its parameters and secrets, and no tokens; None if there is one by now.

    One that ``is_active`` gets its tokens at its first call, by what it has of its own.
    """
    new = Credential(upstream=upstream, account=account)
    new.clock = clock(using)
    columns = {**values, "state": State.ACTIVE if is_active else State.LOGGED_OUT, "since": new.now()}
    return _insert(new, columns, using, details, Kind.CONFIGURED)


def configure(
    row: Credential,
    values: Mapping[str, Any],
    using: str,
    details: EventDetails,
    *,
    is_active: bool,
    is_new_key: bool = False,
) -> Event | None:
    """Change an account's parameters and secrets, and what its tokens are bound to, if all are as they were read.

    One that ``is_active`` by that is tried again if it was rejected, with what it has now, and begins if it never had
    any tokens. If ``is_new_key``, those that are stored were made of the key before, and are forgotten.
    """
    with _locked(row, using) as there:
        read = (row.parameters, row.secrets, row.obtained_for)
        if there is None or (there.parameters, there.secrets, there.obtained_for) != read:
            return None
        columns: dict[str, Any] = {**values, "next_attempt_at": None, "failed_login": ""}
        if is_new_key and there.access_token:
            columns |= stored_pair(there, _NO_TOKENS)
        elif is_active and (there.state == State.REJECTED or there.never_had_tokens):
            columns |= {**RESTORED, "since": there.now()}
        return _write(there, using, Kind.CONFIGURED, columns, details)


def begin(upstream: str, account: str, using: str) -> Credential:
    """Return the row of an account that has yet to log in by itself; creates it if there is none."""
    rows = Credential.objects.using(using)
    return rows.get_or_create(upstream=upstream, account=account, defaults={"state": State.ACTIVE})[0]


def log_out(row: Credential, using: str, details: EventDetails) -> Event | None:
    """Forget the tokens on purpose."""
    columns = {**stored_pair(row, _NO_TOKENS), "state": State.LOGGED_OUT, "since": row.now(), "reason": "logged out"}
    with _locked(row, using) as there:
        return _write(there, using, Kind.LOGGED_OUT, columns, details)


def _failed(row: Credential, state: str, reason: str) -> dict[str, Any]:
    # The state holds for the very tokens that failed: any others, whoever stored them, end it.
    failed = "" if state == State.UNREADABLE else row.pair.fingerprint
    return {"state": state, "reason": storable(reason), "since": row.now(), "failed_fingerprint": failed}


def _tokens(row: Credential) -> dict[str, Any]:
    return {"access_token": row.access_token, "refresh_token": row.refresh_token}


def _after(row: Credential, seconds: float) -> datetime:
    # By the database's clock: what is written here binds other hosts.
    return row.now() + timedelta(seconds=seconds)


def _write(
    there: Credential | None,
    using: str,
    kind: Kind,
    columns: dict[str, Any],
    details: EventDetails,
    pair: TokenPair | None = None,
) -> Event | None:
    if there is None:
        return None
    after = _update(there, using, columns)
    event = record(after, there, using, kind, details, pair)
    if kind.value in Incident.NEEDS_HUMAN:
        event.incident = incidents.need_human(after, using)
    return event


def _update(there: Credential, using: str, columns: dict[str, Any]) -> Credential:
    statements.update(there, columns, using)
    return _changed(there, columns)


def _rows(using: str) -> QuerySet[Credential]:
    # Not by ``objects``, whose update() sends ``rows_updated``: before the commit that would be too early, and taking
    # a lease is no reason to read every row again. What was committed is announced.
    return Credential._base_manager.using(using)


def _changed(row: Credential, columns: dict[str, Any]) -> Credential:
    after = copy(row)
    for name, value in columns.items():
        setattr(after, name, value)
    return after
