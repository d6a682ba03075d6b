"""The admins' mails, as the file-based mail backend has left them."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import NamedTuple

from django.conf import settings


class Mail(NamedTuple):
    """What a person reads of one."""

    subject: str
    date: str
    text: str


def mails() -> list[Mail]:
    """Return all of them, the newest first."""
    files = sorted(Path(settings.MAIL_FOLDER).glob("*.log"), key=lambda path: path.stat().st_mtime_ns)
    return [_mail(path) for path in reversed(files)]


def _mail(path: Path) -> Mail:
    message = message_from_bytes(path.read_bytes().rstrip(b"-\n") + b"\n", _class=EmailMessage, policy=policy.default)
    text = str(message.get_content())
    return Mail(str(message["Subject"]), str(message["Date"]), text.strip())
