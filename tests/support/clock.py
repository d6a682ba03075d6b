"""Time that passes in no time: by this host's clock, or by the database's, which all hosts go by."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import F

from jwt_upstream.models import Credential, Incident, Notice

#: The moments of a row that are compared with the database's clock.
MOMENTS = (
    "access_expires_at",
    "refresh_expires_at",
    "obtained_at",
    "worked_at",
    "unreadable_since",
    "failing_since",
    "next_attempt_at",
    "interrupted_at",
    "refresh_suppressed_until",
    "lease_expires_at",
)


def pass_time(seconds: float) -> None:
    """Make every credential older, which by the database's clock is the same as if so much time had passed."""
    # The clock of a running database can't be set; and this has every client of the process read its row again.
    past = timedelta(seconds=seconds)
    Credential.objects.update(**{name: F(name) - past for name in MOMENTS})
    Incident.objects.update(**{name: F(name) - past for name in ("since", "opened_at", "notified_at")})
    Notice.objects.update(due_at=F("due_at") - past)
