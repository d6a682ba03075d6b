"""Tells people of incidents, by mail and any other way, from an outbox in the database."""

from __future__ import annotations

from jwt_upstream.languages import for_programs

from .delivery import deliver
from .expiries import client_secret_expiries
from .logs import log
from .lookout import connect
from .mails import mail
from .messages import Alert, Trouble
from .notifiers import try_notifiers
from .webhooks import webhook

__all__ = [
    "Alert",
    "Trouble",
    "client_secret_expiries",
    "connect",
    "deliver",
    "for_programs",
    "log",
    "mail",
    "try_notifiers",
    "webhook",
]
