"""Rows that tests put into the database, and what they read there."""

from __future__ import annotations

from typing import Any

from jwt_upstream.models import Credential, Event
from jwt_upstream.testing import logged_in


def put(upstream: str, account: str = "default", **columns: Any) -> Credential:
    """Store a credential with these columns."""
    credential = logged_in(upstream, account)
    Credential.objects.filter(pk=credential.pk).update(**columns)
    return Credential.objects.get(pk=credential.pk)


def unbind() -> None:
    """Let the stored tokens be used with any settings, as those are that no version has bound yet."""
    Credential.objects.update(obtained_for={})


def kinds() -> list[str]:
    """Return what happened, oldest first."""
    return list(Event.objects.order_by("pk").values_list("kind", flat=True))


def kinds_since_login() -> list[str]:
    """Return what happened after the first event, which is the login of the fixture ``client``."""
    return kinds()[1:]
