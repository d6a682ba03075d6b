"""How the admin pages show states, times, tokens and links: coloured, short, and without secrets."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib.admin import AdminSite
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _

from jwt_upstream.clock import host_now
from jwt_upstream.fields import DecryptionError, Encrypted, Misplaced
from jwt_upstream.formatting import relative
from jwt_upstream.models import Credential, Event, Incident
from jwt_upstream.refresh import needs_rebinding, values_problem
from jwt_upstream.tokens import fingerprint
from jwt_upstream.tracebacks import without_variables

_COLOURS = {
    **dict.fromkeys(["active", "refreshed", "logged_in", "restored", "rebound", "configured"], "good"),
    **dict.fromkeys(["failed", "interrupted"], "doubtful"),
    "logged_out": "off",
}


def of_credential(credential: Credential) -> str:
    """Return a badge with the state, "degraded" or "failing" (once the token has expired) if refreshes fail.

    "mismatched" if the tokens were obtained for other settings, "misconfigured" if what the account has of its own is
    not what settings allow.
    """
    if values_problem(credential):
        return badge("bad", _("misconfigured"))
    if needs_rebinding(credential):
        return badge("bad", _("mismatched"))
    if credential.state == Credential.State.ACTIVE and credential.failures:
        return badge("doubtful", _("degraded")) if credential.is_degraded else badge("bad", _("failing"))
    return badge(_COLOURS.get(credential.state, "bad"), credential.get_state_display())


def of_event(event: Event) -> str:
    """Return a badge with what happened."""
    return badge(_COLOURS.get(event.kind, "bad"), event.get_kind_display())


def of_incident(incident: Incident) -> str:
    """Return a badge with what is wrong, or was."""
    return badge("bad" if incident.is_open else "off", incident.get_kind_display())


def badge(colour: str, text: Any) -> str:
    """Return a short text on a ground that says how good it is: "good", "doubtful", "bad" or "off"."""
    return format_html('<span class="jwt-upstream-badge jwt-upstream-{}">{}</span>', colour, text)


def page_url(site: AdminSite, page: str, *args: Any, **query: str) -> str:
    """Return the address of one of this app's pages, "" in an admin site of a project's own that leaves it out."""
    try:
        url = reverse(f"admin:jwt_upstream_{page}", args=args, current_app=site.name)
    except NoReverseMatch:
        return ""
    return f"{url}?{urlencode(query)}" if query else url


def link(url: str, text: str) -> str:
    """Return a text as a link to a page, if there is one."""
    return format_html('<a href="{}">{}</a>', url, text) if url else text


def moment(at: datetime | None, now: datetime) -> str:
    """Return a time relative to now, and in full, in the current time zone, where the pointer rests; "" for none."""
    if at is None:
        return ""
    local = timezone.localtime(at)
    html = '<time class="jwt-upstream-time" datetime="{}" title="{}">{}</time>'
    return format_html(html, local.isoformat(), f"{local:%Y-%m-%d %H:%M:%S %Z}", relative(at, now))


def milliseconds(seconds: float | None) -> str:
    """Return how long an upstream took; "" if it was not asked."""
    return "" if seconds is None else f"{1000 * seconds:.0f} ms"


def expiry(at: datetime | None, now: datetime, *, is_static: bool = False) -> str:
    """Return when a token expires or has expired; a key never does."""
    if at is None:
        return _("never expires") if is_static else _("unknown expiry")
    return format_html(_("expires {when}") if at > now else _("expired {when}"), when=moment(at, now))


@without_variables
def token(stored: Encrypted, expires_at: datetime | None, *, is_static: bool = False) -> str:
    """Return a stored token's fingerprint and expiry; decrypts the token, so it is not meant for lists."""
    if not stored:
        return ""
    try:
        identity = _("fingerprint %(fingerprint)s") % {"fingerprint": fingerprint(stored.open())}
    except Misplaced:
        identity = _("stored for another credential, and copied here")
    except DecryptionError:
        identity = _("no configured key decrypts it")
    return format_html("{}, {}", identity, expiry(expires_at, host_now(), is_static=is_static))
