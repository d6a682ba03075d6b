"""Outages of upstreams: one row for each while it lasts, so that admins are told once."""

from __future__ import annotations

from datetime import timedelta

from jwt_upstream.conf import conf
from jwt_upstream.models import Credential, Outage

from . import queries
from .history import storable


def note(upstream: str, kind: str, reason: str, using: str) -> Outage | None:
    """Record a failed attempt; return the outage if admins are to be notified now, which happens once.

    A misconfiguration is told at once. An upstream that is down must have been so for JWT_UPSTREAM_OUTAGE_SECONDS.
    """
    rows, reason, now = Outage.objects.using(using), storable(reason), queries.clock(using).now()
    outage, is_new = rows.get_or_create(upstream=upstream, defaults={"kind": kind, "reason": reason, "since": now})
    if not is_new and (outage.kind, outage.reason) != (kind, reason):
        if outage.kind != kind:  # another kind of trouble is a new one
            rows.filter(pk=outage.pk).update(notified_at=None)
        rows.filter(pk=outage.pk).update(kind=kind, reason=reason)
        outage.kind, outage.reason = kind, reason
    patience = timedelta(seconds=0 if kind == Outage.Kind.MISCONFIGURED else conf.outage_seconds)
    if now - outage.since < patience:
        return None
    return outage if rows.filter(pk=outage.pk, notified_at=None).update(notified_at=now) else None


def end(upstream: str, using: str) -> Outage | None:
    """Record that a refresh or login worked; return the outage if admins were told of it and it is over.

    It isn't while other credentials of the upstream still fail.
    """
    outage = Outage.objects.using(using).filter(upstream=upstream).first()
    if outage is None or queries.failing(Credential.objects.using(using), [upstream]).exists():
        return None
    ended, _ = Outage.objects.using(using).filter(pk=outage.pk).delete()
    return outage if ended and outage.notified_at else None
