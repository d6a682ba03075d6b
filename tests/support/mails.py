"""The mails that workers in other processes send, as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import django


def mailing_to(folder: Path) -> dict[str, Any]:
    """Return the settings that write mails to files."""
    backend = "django.core.mail.backends.filebased.EmailBackend"
    if django.VERSION >= (6, 1):
        return {"MAILERS": {"default": {"BACKEND": backend, "OPTIONS": {"file_path": str(folder)}}}}
    return {"EMAIL_BACKEND": backend, "EMAIL_FILE_PATH": str(folder)}


def subjects(folder: Path) -> list[str]:
    """Return the subject of every mail that was sent."""
    lines = [row for file in folder.glob("*.log") for row in file.read_text().splitlines()]
    return [row.removeprefix("Subject: ") for row in lines if row.startswith("Subject: ")]
