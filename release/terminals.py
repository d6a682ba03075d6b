"""A terminal in which commands are typed, as a person would: bash on a pseudo-terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

#: A prompt, which is made to have the exit code of the command before, and an end that nothing else has.
_PROMPT = "\x1e(\\d+)\x1e[^\x1f]*\x1f"
_SHELL = ("bash", "--noprofile", "--norc", "--noediting")


class Timeout(Exception):
    """The terminal does not show in time what it should; the message is what it shows."""


class Terminal:
    """One shell; ``close()`` ends it and whatever runs in it."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        own = {"PROMPT_COMMAND": "printf '\\036%d\\036' $?", "PS1": "$ \x1f", "TERM": "dumb", "COLUMNS": "100"}
        self._pid, self._screen = pty.fork()
        if not self._pid:
            os.chdir(folder)
            os.execvpe(_SHELL[0], _SHELL, {**environ, **own})
        self._text = ""
        self._until(re.compile(_PROMPT), 10)

    def run(self, command: str, answers: Mapping[str, str], seconds: float = 180) -> tuple[int, str]:
        """Type a command, and the answers to what it asks; return its exit code and what it shows."""
        self.type(command)
        questions = dict(answers)
        shown = ""
        either = re.compile("|".join([_PROMPT, *map(re.escape, questions)]))
        while True:
            before, found = self._until(either, seconds)
            shown += before + (found if found in questions else "")
            if found not in questions:
                break
            self._write(questions[found])
        return int(found.split("\x1e")[1]), shown.partition("\n")[2]

    def type(self, command: str) -> None:
        """Type a command, and don't wait for its end."""
        self._text = ""
        self._write(command)

    def await_text(self, pattern: re.Pattern[str], seconds: float) -> None:
        """Return once the terminal shows this, and forget what it showed until then."""
        self._until(pattern, seconds)

    def close(self) -> None:
        """Hang up, which ends what runs here."""
        os.close(self._screen)
        with suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGHUP)
        os.waitpid(self._pid, 0)

    def _write(self, line: str) -> None:
        os.write(self._screen, f"{line}\n".encode())

    def _until(self, pattern: re.Pattern[str], seconds: float) -> tuple[str, str]:
        """Return what is shown before the pattern, and what matches it."""
        ends = time.monotonic() + seconds
        while not (found := pattern.search(self._text)):
            if not select.select([self._screen], [], [], max(0, ends - time.monotonic()))[0]:
                raise Timeout(self._text)
            self._text += os.read(self._screen, 65536).decode(errors="replace").replace("\r\n", "\n")
        before, self._text = self._text[: found.start()], self._text[found.end() :]
        return before, found[0]
