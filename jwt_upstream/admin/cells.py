"""How the admin pages show states, times and tokens: coloured, short, and without secrets."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from jwt_upstream.clock import host_now
from jwt_upstream.fields import DecryptionError, Encrypted
from jwt_upstream.formatting import time_left
from jwt_upstream.models import Credential, Event, Incident
from jwt_upstream.tokens import fingerprint

_COLOURS = {
    **dict.fromkeys(["active", "refreshed", "logged_in", "restored"], "good"),
    **dict.fromkeys(["failed", "interrupted"], "doubtful"),
    "logged_out": "off",
}


def of_credential(credential: Credential) -> str:
    """Return a badge with the state, "degraded" or "failing" (once the token has expired) if refreshes fail."""
    if credential.state == Credential.State.ACTIVE and credential.failures:
        return _badge("doubtful", _("degraded")) if credential.is_degraded else _badge("bad", _("failing"))
    return _badge(_COLOURS.get(credential.state, "bad"), credential.get_state_display())


def of_event(event: Event) -> str:
    """Return a badge with what happened."""
    return _badge(_COLOURS.get(event.kind, "bad"), event.get_kind_display())


def of_incident(incident: Incident) -> str:
    """Return a badge with what is wrong, or was."""
    return _badge("bad" if incident.is_open else "off", incident.get_kind_display())


def _badge(colour: str, text: Any) -> str:
    return format_html('<span class="jwt-upstream-badge jwt-upstream-{}">{}</span>', colour, text)


def short(moment: datetime) -> str:
    """Return a time in the current time zone, to the second and in few characters."""
    return f"{timezone.localtime(moment):%Y-%m-%d %H:%M:%S}"


def token(stored: Encrypted, expiry: datetime | None) -> str:
    """Return a stored token's fingerprint and expiry; decrypts the token, so it is not meant for lists."""
    if not stored:
        return str(_("none"))
    try:
        identity = str(_("fingerprint %s") % fingerprint(stored.open()))
    except DecryptionError:
        identity = str(_("no configured key decrypts it"))
    validity = time_left(expiry, host_now())
    if expiry is None:
        return f"{identity}, {validity}"
    return f"{identity}, {_('expires')} {short(expiry)} ({validity})"
