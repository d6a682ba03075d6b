"""The demo's folder: however a demo ends, its secrets don't stay."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# Writes what a demo has, tells that it is there, and goes on until it is ended.
DEMO = """
import signal, sys
from pathlib import Path
from project.demo.folder import fresh
signal.signal(signal.SIGINT, signal.default_int_handler)  # which shells have background jobs ignore
with fresh(Path(sys.argv[1])) as folder:
    for name in ("env", "project.sqlite3", "project.sqlite3-wal", "login", "log"):
        (folder / name).write_text("anything")
    (folder / "mails").mkdir()
    (folder / "more").mkdir()
    print("ready", flush=True)
    sys.stdin.read()
"""


@contextmanager
def demo(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Have one run in a folder, in a process of its own."""
    command = [sys.executable, "-c", DEMO, str(folder)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, text=True, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def left(folder: Path) -> set[str]:
    """Return what is in a folder."""
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("ended", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, -signal.SIGINT), (None, 0)]
)
def test_end(tmp_path: Path, ended: signal.Signals | None, code: int) -> None:
    """A demo that is ended, or at its end, leaves nothing but its log and its mails."""
    folder = tmp_path / "demo"
    with demo(folder) as process:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        if ended:
            process.send_signal(ended)
        process.communicate(timeout=20)
        assert process.returncode == code
    assert left(folder) == {"lock", "log", "mails"}


def test_kill(tmp_path: Path) -> None:
    """What a demo left that was killed is removed by the next one; while one runs there is no other."""
    with demo(tmp_path) as process:
        process.kill()
        process.wait()
        assert "project.sqlite3" in left(tmp_path)
        (tmp_path / "of the killed").touch()
        with demo(tmp_path):
            assert "of the killed" not in left(tmp_path)
            second = subprocess.run([sys.executable, "-c", DEMO, str(tmp_path)], capture_output=True, text=True)
            assert "A demo is running in this folder already" in second.stderr
            assert "env" in left(tmp_path)
