"""Mails to the admins: one when a credential needs a human, one when it works again, one for a whole upstream."""

from __future__ import annotations

import logging
import threading
from typing import Any

from django.core.mail import mail_admins
from django.urls import NoReverseMatch, reverse

from jwt_upstream import signals

logger = logging.getLogger("jwt_upstream")

#: Callers wait for at most this long while the mail server takes its time.
PATIENCE_SECONDS = 2.0


def connect() -> None:
    """Have the mails sent; called once, when the app is ready."""
    for signal in (signals.credential_rejected, signals.credential_locked, signals.credential_unreadable):
        signal.connect(_credential_failed, dispatch_uid="jwt_upstream.notifications")
    for signal in (signals.credential_logged_in, signals.credential_refreshed, signals.credential_restored):
        signal.connect(_credential_works, dispatch_uid="jwt_upstream.notifications")
    for signal in (signals.upstream_down, signals.upstream_misconfigured):
        signal.connect(_upstream_failed, dispatch_uid="jwt_upstream.notifications")
    signals.upstream_recovered.connect(_upstream_works, dispatch_uid="jwt_upstream.notifications")


def _credential_failed(credential: Any, event: Any, **_: Any) -> None:
    body = f"""\
The credential {credential} needs a human: it is {credential.get_state_display()}.

Since:     {credential.since:%Y-%m-%d %H:%M:%S %Z}
Why:       {credential.reason or "not said"}
What now:  {credential.remedy}
{_link("credential", credential.pk)}
Until then every call with it fails at once, without asking the upstream. There will be no further mail about it
before it works again."""
    _mail(f"{credential} is {credential.get_state_display()}", body)


def _credential_works(credential: Any, event: Any, **_: Any) -> None:
    if event.state_before not in {"rejected", "locked", "unreadable"}:
        return
    body = f"""\
The credential {credential} works again.

Since:     {event.at:%Y-%m-%d %H:%M:%S %Z}
It was:    {event.state_before}
What did:  {event.get_kind_display()} by {event.by}
{_link("credential", credential.pk)}"""
    _mail(f"{credential} works again", body)


def _upstream_failed(outage: Any, **_: Any) -> None:
    now = {
        "down": "Nothing is needed if it comes back: refreshing is tried again all the time, with growing pauses.",
        "misconfigured": "Check this upstream's settings (JWT_UPSTREAM): client, paths, certificates. Nothing else is "
        "needed: refreshing is tried again all the time, with growing pauses.",
    }[outage.kind]
    body = f"""\
No token can be refreshed at the upstream {outage.upstream}: it is {outage.get_kind_display()}.

Since:     {outage.since:%Y-%m-%d %H:%M:%S %Z}
Why:       {outage.reason}
What now:  {now}
{_link("credential", None, f"?upstream={outage.upstream}")}
No credential is lost. There will be no further mail about it before it works again."""
    _mail(f"upstream {outage.upstream} is {outage.get_kind_display()}", body)


def _upstream_works(outage: Any, **_: Any) -> None:
    body = f"""\
The upstream {outage.upstream} works again.

It was:    {outage.get_kind_display()} since {outage.since:%Y-%m-%d %H:%M:%S %Z}
Why:       {outage.reason}
"""
    _mail(f"upstream {outage.upstream} works again", body)


def _link(model: str, pk: Any, query: str = "") -> str:
    try:
        name = f"admin:jwt_upstream_{model}_{'change' if pk else 'changelist'}"
        return f"Admin:     {reverse(name, args=[pk] if pk else [])}{query}\n"
    except NoReverseMatch:  # a project without the admin
        return ""


def _mail(subject: str, body: str) -> None:
    # In a thread, since callers wait for this one: a mail server that hangs must not hold them.
    thread = threading.Thread(target=_send, args=(f"jwt_upstream: {subject}", body), name="jwt_upstream mail")
    thread.start()
    thread.join(PATIENCE_SECONDS)


def _send(subject: str, body: str) -> None:
    try:
        mail_admins(subject, body)
    except Exception as error:  # whatever a mail backend raises: a call that works must not fail for it
        logger.error("mail to the admins failed: %s: %s", type(error).__name__, subject)
