"""Our commands as tests run them: what they print, and that no secret is in it."""

from __future__ import annotations

import io
import os
import re
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command

JSON = "Content-Type: application/json"
SECRETS = ("correct horse", "access-", "refresh-", "s3cr")


def probe(*arguments: str, **options: Any) -> tuple[str, str]:
    """Run the command; return what it printed, and the line with which it failed ("" if it didn't)."""
    out, failed = io.StringIO(), ""
    try:
        call_command("upstream_probe", *arguments, stdout=out, **options)
    except CommandError as error:
        failed = str(error) if error.returncode == 1 else f"exit code {error.returncode}"
    text = out.getvalue()
    assert [secret for secret in SECRETS if secret in text + failed] == []
    return text, failed


def paragraphs(text: str) -> str:
    """Return a text as if the terminal were endlessly wide."""
    return " ".join(text.split())


class Terminal(io.StringIO):
    """A person at a keyboard."""

    def isatty(self) -> bool:
        return True


class Told(io.StringIO):
    """What the command tells a person, who does something when there is a URL to open."""

    def __init__(self, act: Callable[[str], None] | None = None) -> None:
        super().__init__()
        self._act, self.thread = act, threading.Thread()

    def write(self, text: str) -> int:
        if self._act and (found := re.search(r"https?://\S+response_type=code\S+", text)):
            self.thread = threading.Thread(target=self._act, args=(found[0],))
            self.thread.start()
        return super().write(text)


def run(name: str, *arguments: str) -> tuple[int, str, str]:
    """Run a command; return its exit code, what it printed, and the line with which it failed."""
    out, failed, code = io.TextIOWrapper(io.BytesIO(), write_through=True), "", 0
    try:
        call_command(name, *arguments, stdout=out, no_color=True)
    except CommandError as error:
        failed, code = str(error), error.returncode
    printed = out.buffer.getvalue().decode()
    assert [secret for secret in SECRETS if secret in failed] == []
    return code, printed, failed


def unread(name: str, *arguments: str) -> object:
    """Run a command whose output goes to a pipe that nobody reads; return the exit code that it asks for."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as out, pytest.raises(SystemExit) as ended:
        call_command(name, *arguments, stdout=out)
    return ended.value.code


def login(*arguments: str) -> str:
    """Run the command and return what it printed."""
    out = io.StringIO()
    call_command("upstream_login", *arguments, stdout=out)
    return out.getvalue()


def refused(*arguments: str, code: int = 1) -> str:
    """Run the command, which must fail with one line and this exit code; return the line."""
    with pytest.raises(CommandError) as caught:
        login(*arguments)
    line = str(caught.value)
    assert caught.value.returncode == code
    assert "\n" not in line
    assert not any(secret in line for secret in SECRETS)
    return line


def status(*arguments: str) -> tuple[str, str]:
    """Run the command; return what it printed and the error it ended with ("": exit code 0)."""
    out, error = io.StringIO(), ""
    try:
        call_command("upstream_status", *arguments, stdout=out, no_color=True)
    except CommandError as caught:
        error = str(caught)
    return out.getvalue(), error


def cells(out: str) -> list[list[str]]:
    """Return the table's rows, without the details below them."""
    lines = [line for line in out.splitlines()[1:] if line[0] not in " U"]
    return [[cell.strip() for cell in line.split("  ") if cell] for line in lines]
