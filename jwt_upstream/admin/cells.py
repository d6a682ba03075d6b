"""How the admin's pages show states, moments and tokens: coloured, short, and without a secret."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from jwt_upstream.clock import host_now
from jwt_upstream.fields import DecryptionError, Encrypted
from jwt_upstream.formatting import time_left
from jwt_upstream.models import Credential, Event, Outage
from jwt_upstream.tokens import fingerprint

_COLOURS = {
    **dict.fromkeys(["active", "refreshed", "logged_in", "restored"], "good"),
    **dict.fromkeys(["failed", "interrupted"], "doubtful"),
    "logged_out": "off",
}


def of_credential(credential: Credential) -> str:
    """Show the state, and of an active credential also whether refreshing fails while its token lives or has ended."""
    if credential.state == Credential.State.ACTIVE and credential.failures:
        return _badge("doubtful", _("degraded")) if credential.is_degraded else _badge("bad", _("failing"))
    return _badge(_COLOURS.get(credential.state, "bad"), credential.get_state_display())


def of_event(event: Event) -> str:
    """Show what happened."""
    return _badge(_COLOURS.get(event.kind, "bad"), event.get_kind_display())


def of_outage(outage: Outage) -> str:
    """Show whose fault it is."""
    return _badge("bad", outage.get_kind_display())


def _badge(colour: str, text: Any) -> str:
    return format_html('<span class="jwt-upstream-badge jwt-upstream-{}">{}</span>', colour, text)


def short(moment: datetime) -> str:
    """Say when, to the second and in few characters, in the current time zone."""
    return f"{timezone.localtime(moment):%Y-%m-%d %H:%M:%S}"


def token(stored: Encrypted, end: datetime | None) -> str:
    """Show a stored token's fingerprint and lifetime; opens it, so not meant for lists."""
    if not stored:
        return str(_("none"))
    try:
        what = str(_("fingerprint %s") % fingerprint(stored.open()))
    except DecryptionError:
        what = str(_("no configured key opens it"))
    lives = time_left(end, host_now())
    return f"{what}, {lives}" if end is None else f"{what}, {_('until')} {short(end)} ({lives})"
