"""The admins' mails, as the file-based mail backend has left them."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import NamedTuple

from django.conf import settings

_END = b"\n" + b"-" * 79 + b"\n"


class Mail(NamedTuple):
    """What a person reads of one."""

    subject: str
    date: str
    text: str


def mails() -> list[Mail]:
    """Return all of them, the newest first."""
    files = sorted(Path(settings.MAIL_FOLDER).glob("*.log"), key=lambda path: path.stat().st_mtime_ns)
    # Each mail ends with a line of hyphens. Two of the same second may be in one file, which is named after the second
    # and the address in memory of what has sent it.
    found = [part for path in files for part in path.read_bytes().split(_END)]
    return [_mail(part) for part in reversed(found) if part.strip()]


def _mail(content: bytes) -> Mail:
    message = message_from_bytes(content + b"\n", _class=EmailMessage, policy=policy.default)
    text = str((message.get_body(("plain",)) or message).get_content())
    return Mail(str(message["Subject"]), str(message["Date"]), text.strip())
