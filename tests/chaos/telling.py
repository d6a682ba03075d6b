"""What people and receivers were told: logs every mail and every signal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.dispatch import Signal

from jwt_upstream import signals
from tests.chaos.process import log

_PREFIX = re.compile(r"^.*?jwt_upstream\W+")


class LoggedMails(BaseEmailBackend):
    """Logs mails in place of sending them."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Log the subject of each, without the prefixes."""
        for message in email_messages:
            log.write("mail", subject=_PREFIX.sub("", str(message.subject)))
        return len(email_messages)


def connect() -> None:
    """Have every signal of the package logged."""
    for name in signals.__all__:
        signal: Signal = getattr(signals, name)
        signal.connect(_log, dispatch_uid=f"chaos {name}")


def _log(event: Any = None, incident: Any = None, **_: Any) -> None:
    if event is not None:
        log.write("signal", event=event.pk, account=f"{event.upstream}/{event.account}", kind=event.kind)
    else:
        log.write("incident", upstream=incident.upstream, kind=incident.kind)
