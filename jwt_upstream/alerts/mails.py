"""Mails to the admins: when a credential needs a human or an upstream is in trouble, and when it works again."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from textwrap import fill
from typing import Any
from urllib.parse import urlencode

from django.apps import apps
from django.conf import settings
from django.contrib.sites.shortcuts import get_current_site
from django.core.exceptions import ImproperlyConfigured, ObjectDoesNotExist
from django.core.mail import mail_admins
from django.db import DatabaseError, connections
from django.dispatch import Signal
from django.urls import NoReverseMatch, reverse

from jwt_upstream import signals
from jwt_upstream.formatting import paragraph, timestamp
from jwt_upstream.names import command

logger = logging.getLogger("jwt_upstream")

#: How long a caller waits for the mail server at most.
WAIT_SECONDS = 2.0


def connect() -> None:
    """Connect the receivers that send the mails; called once, when the app is ready."""
    receivers: list[tuple[Callable[..., None], list[Signal]]] = [
        (_credential_failed, [signals.credential_rejected, signals.credential_locked, signals.credential_unreadable]),
        (_credential_fails, [signals.refresh_failed]),
        (
            _credential_works,
            [signals.credential_logged_in, signals.credential_refreshed, signals.credential_restored],
        ),
        (_upstream_failed, [signals.upstream_down, signals.upstream_misconfigured]),
        (_upstream_works, [signals.upstream_recovered]),
    ]
    for receiver, heard in receivers:
        for signal in heard:
            signal.connect(receiver, dispatch_uid="jwt_upstream.alerts")


def _credential_failed(credential: Any, event: Any, **_: Any) -> None:
    if event.incident is None:  # they have been told
        return
    what = credential.get_state_display()
    body = f"""\
The credential {credential} is {what} and needs a human.

Since:   {timestamp(credential.since)}
Reason:  {credential.reason}
Admin:   {_link("credential_change", credential.pk)}

What to do:
{paragraph(credential.remedy, 78)}

Until then every call with this credential fails at once, and nothing is sent.
There will be no further mail about it until it works again.
"""
    _mail(f"{credential} is {what}", body)


def _credential_fails(credential: Any, event: Any, **_: Any) -> None:
    incident = event.incident
    if incident is None:
        return
    body = f"""\
The credential {credential} gets no new token, while others at {credential.upstream} do.
Refreshing tokens fails for {incident.concerns}.

{_facts(incident)}
Admin:   {_link("credential_change", credential.pk)}

What to do:
{paragraph(f"look at this account at the upstream; if it is well, {credential.remedy}", 78)}

Refreshes are retried with a growing backoff, and calls work until the access
token expires. There will be no further mail about this credential until it
works again, unless it needs a human.
"""
    _mail(f"{credential} is failing", body)


def _credential_works(credential: Any, event: Any, **_: Any) -> None:
    incident = event.incident
    if incident is None:
        return
    body = f"""\
The credential {credential} works again. It was {incident.get_kind_display()}.

From:    {timestamp(incident.since)}
Until:   {timestamp(incident.closed_at)}
Reason:  {incident.reason}
Event:   {event.get_kind_display()}
By:      {event.by}
Admin:   {_link("credential_change", credential.pk)}
"""
    _mail(f"{credential} works again", body)


_REMEDIES = {
    "down": "Nothing, unless the upstream stays down.",
    "misconfigured": "Check the settings of this upstream in JWT_UPSTREAM: client, paths, certificates. "
    "To see what is sent: {}",
}


def _upstream_failed(incident: Any, **_: Any) -> None:
    what = incident.get_kind_display()
    failing = f"The upstream {incident.upstream} is {what}: refreshing tokens fails for {incident.concerns}."
    if incident.concerns.startswith("1 of "):
        failing += " No other account was refreshed since, so it may be this account alone."
    body = f"""\
{fill(failing, 78)}

{_facts(incident)}
Admin:   {_link("credential_changelist", upstream=incident.upstream)}

What to do:
{paragraph(_REMEDIES[incident.kind].format(command("upstream_probe", incident.upstream)), 78)}

Refreshes are retried with a growing backoff, and no credential is lost.
There will be no further mail about this upstream until it works again.
"""
    _mail(f"upstream {incident.upstream} is {what}", body)


def _upstream_works(incident: Any, **_: Any) -> None:
    body = f"""\
The upstream {incident.upstream} works again. It was {incident.get_kind_display()}.

From:    {timestamp(incident.since)}
Until:   {timestamp(incident.closed_at)}
Reason:  {incident.reason}
Admin:   {_link("credential_changelist", upstream=incident.upstream)}
"""
    _mail(f"upstream {incident.upstream} works again", body)


def _facts(incident: Any) -> str:
    asked = f"\nURL:     {incident.url}" if incident.url else ""
    return f"Since:   {timestamp(incident.since)}{asked}\nReason:  {incident.reason}"


def _link(page: str, *args: Any, **query: str) -> str:
    try:
        path = reverse(f"admin:jwt_upstream_{page}", args=args)
    except (NoReverseMatch, AttributeError):  # the latter in a project of workers only, which has no ROOT_URLCONF
        return "not installed"
    return f"{_site()}{path}" + (f"?{urlencode(query)}" if query else "")


def _site() -> str:
    # There is no request to take the host from; the sites framework has it, if it is installed and configured.
    if not apps.is_installed("django.contrib.sites"):
        return ""
    try:
        domain: str = get_current_site(None).domain
    except (ImproperlyConfigured, ObjectDoesNotExist, DatabaseError):
        return ""
    scheme = "http" if settings.DEBUG else "https"
    return "" if domain == "example.com" else f"{scheme}://{domain}"


def _mail(subject: str, body: str) -> None:
    # In a thread, since callers wait for this one: a mail server that hangs must not block them.
    subject = " ".join(f"jwt_upstream: {subject}".split())  # an account's name may contain a line break
    thread = threading.Thread(target=_send, args=(subject, body), name="jwt_upstream mail")
    thread.start()
    thread.join(WAIT_SECONDS)


def _send(subject: str, body: str) -> None:
    try:
        mail_admins(subject, body)
    except Exception as error:  # whatever a mail backend raises: a call that works must not fail for it
        logger.error("the mail to the admins failed: %s: %s", type(error).__name__, subject)
    finally:
        connections.close_all()  # a mail backend with a queue in the database has opened one
