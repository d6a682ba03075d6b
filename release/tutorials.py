"""Follows the tutorials to the letter, each in an empty folder, with the wheel of ``dist``; part of ``make smoke``.

Only the ports are others, so that it doesn't matter what else runs here, and pip takes our wheel for what it would
download.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path

from release.files import ROOT
from release.pages import Block, blocks, pattern
from release.project import wheel
from release.terminals import Terminal, Timeout

TUTORIALS = [ROOT / "docs" / "tutorials" / f"{name}.rst" for name in ("first_call", "simplejwt")]
#: What the reader answers, as the text of the pages says; the password is not seen in what they show.
ANSWERS = {"Username: ": "ann", "Password: ": "lamp-shade"}
#: Within this a terminal in which a server runs shows what it is said to show; a mail takes ten seconds.
SECONDS = 40


class Difference(Exception):
    """Something is not as the page says."""


class Reader:
    """Somebody who writes each file and types each command of a page."""

    def __init__(self, folder: Path, ports: Mapping[str, str]) -> None:
        self._folder = folder
        self._ports = ports
        self._ends = ExitStack()
        self._terminals: dict[str, Terminal] = {}
        (folder.parent / "constraints.txt").write_text(f"django-jwt-upstream @ {wheel().as_uri()}\n")
        own = {"PIP_CONSTRAINT": str(folder.parent / "constraints.txt"), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        own["DJANGO_COLORS"] = "nocolor"
        foreign = ("DJANGO", "PYTHON", "VIRTUAL_ENV", "DATABASE")
        self._environ = {name: value for name, value in os.environ.items() if not name.startswith(foreign)} | own

    def follow(self, page: Path) -> None:
        """Do all that the page says, and raise Difference where something else is shown."""
        with self._ends:
            for block in blocks(page):
                text = re.sub(r"\b\d{4}\b", lambda found: self._ports.get(found[0], found[0]), block.text)
                self._do(Block(block.caption, text))

    def _do(self, block: Block) -> None:
        if block.file:
            self._write(block)
        elif "terminal" in block.caption:
            self._look(block)
        else:
            for command, shown in block.commands():
                self._run(self._terminal(""), command, shown)

    def _write(self, block: Block) -> None:
        if block.before_django and self._django() >= block.before_django:
            return
        path = self._folder / block.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((path.read_text() + "\n" if block.is_added else "") + block.text)

    def _django(self) -> tuple[int, ...]:
        _, version = self._terminal("").run("python -m django --version", {})
        return tuple(map(int, re.findall(r"\d+", version)))

    def _look(self, block: Block) -> None:
        """Start what runs in a terminal of its own, or look at it."""
        terminal, shown = self._terminal(block.caption), block.text
        commands = list(block.commands())
        for command, output in commands[:-1]:
            self._run(terminal, command, output)
        for command, output in commands[-1:]:
            terminal.type(command)
            shown = output
        try:
            terminal.await_text(pattern(shown), SECONDS)
        except Timeout as seen:
            raise Difference(f"{block.caption} should show\n{shown}\nbut shows\n{seen}") from None

    def _run(self, terminal: Terminal, command: str, expected: str) -> None:
        code, shown = terminal.run(command, ANSWERS)
        is_failure = "CommandError" in expected
        if not pattern(expected).fullmatch(shown.strip("\n") + "\n") or bool(code) is not is_failure:
            raise Difference(f"$ {command}\nshould show\n{expected}\nbut ends with {code} and shows\n{shown}")

    def _terminal(self, name: str) -> Terminal:
        if name not in self._terminals:
            self._terminals[name] = Terminal(self._folder, self._environ)
            self._ends.callback(self._terminals[name].close)
        return self._terminals[name]


def free_ports() -> Iterator[str]:
    """Yield ports at which nobody listens."""
    while True:
        with closing(socket.create_server(("127.0.0.1", 0))) as server:
            port = str(server.getsockname()[1])
        yield port


def main() -> str | None:
    """Return what is wrong with the pages that are named, or with any, if anything is."""
    if missing := [name for name in ("bash", "curl") if not shutil.which(name)]:
        return f"To follow the tutorials {' and '.join(missing)} must be installed (Debian: apt-get install)."
    for page in [Path(name) for name in sys.argv[1:]] or TUTORIALS:
        with tempfile.TemporaryDirectory() as temporary:
            (folder := Path(temporary, "tutorial")).mkdir()
            try:
                Reader(folder, dict(zip(("8000", "8001"), free_ports(), strict=False))).follow(page)
            except Difference as difference:
                return f"{page.name}: {difference}"
        print(f"{page.name}: all is as it says")
    return None


if __name__ == "__main__":
    sys.exit(main())
