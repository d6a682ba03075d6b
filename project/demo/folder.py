"""The folder of a running demo: nobody else's to read, and without secrets once the demo has ended."""

from __future__ import annotations

import fcntl
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO, NoReturn

#: What stays, for who wants to know what happened. Neither has secrets.
_STAYS = ("log", "mails")
_LOCK = "lock"
#: What ends a demo besides Ctrl-C: ``kill``, a container that stops, a terminal that is closed.
_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def fresh(folder: Path) -> Iterator[Path]:
    """Give the folder, empty; in the end all of it but the log and the mails is removed.

    SIGTERM and SIGHUP end the block by SystemExit. What a demo left that was killed is removed by the next one. Raises
    SystemExit if a demo runs there.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    with (folder / _LOCK).open("w") as lock, _ended_by_signals():
        _take(lock)
        _remove_all(folder, but=(_LOCK,))
        try:
            yield folder
        finally:
            _hear_no_more()
            _remove_all(folder, but=(_LOCK, *_STAYS))


def _take(lock: IO[str]) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SystemExit("A demo is running in this folder already; end it first (Ctrl-C there).") from None


def _remove_all(folder: Path, but: tuple[str, ...]) -> None:
    for path in folder.iterdir():
        if path.name in but:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    before = {each: signal.signal(each, _end) for each in _SIGNALS} | {signal.SIGINT: signal.getsignal(signal.SIGINT)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def _hear_no_more() -> None:
    # Somebody who presses Ctrl-C twice must not interrupt the removal.
    for each in (*_SIGNALS, signal.SIGINT):
        signal.signal(each, signal.SIG_IGN)
