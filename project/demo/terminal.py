"""How the story looks: numbered steps, indented facts, and a check behind each of them."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

_COLOURS = {"bold": "1", "dim": "2", "red": "31", "green": "32"}


class NotAsTold(Exception):
    """A step of the story came out otherwise."""


def coloured(text: str, colour: str) -> str:
    """Colour a text where a person sees it."""
    if not sys.stdout.isatty() or "NO_COLOR" in os.environ:
        return text
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"


def heading(number: int, text: str) -> None:
    """Begin a step."""
    print(f"\n{coloured(f'{number}. {text}', 'bold')}", flush=True)


def say(text: str) -> None:
    """Print a text, indented."""
    for line in text.splitlines():
        print(f"   {line}".rstrip(), flush=True)


def quote(text: str) -> None:
    """Print what a program printed."""
    for line in text.rstrip().splitlines():
        print(coloured(f"   │ {line}".rstrip(), "dim"), flush=True)


def expect(what: str, actual: Any, expected: Any) -> None:
    """Print a fact with a tick, or end the story."""
    if actual != expected:
        raise NotAsTold(f"{what}: expected {expected!r}, got {actual!r}")
    print(f"   {coloured('✓', 'green')} {what}: {actual}", flush=True)


def manage(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run ``manage.py`` in a process of its own, print what it says, and return how it ended."""
    say(f"$ python manage.py {' '.join(arguments)}")
    command = [sys.executable, "manage.py", *arguments]
    ran = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)
    quote(ran.stdout + ran.stderr)
    return ran
