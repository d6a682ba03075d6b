"""The logs: each process appends JSON lines to a file of its own, which a kill can't take back."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

Record = dict[str, Any]


def now() -> float:
    """Return seconds by the one clock that all processes of the host share and no test fakes."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def digest(content: bytes) -> str:
    """Return what stands for a body in the logs."""
    return sha256(content).hexdigest()[:16]


def fingerprint(token: str) -> str:
    """Return what stands for a token in the logs, by no key: the run changes keys."""
    return sha256(token.encode()).hexdigest()[:12] if token else ""


class Log:
    """Appends records; a forked child writes to a file of its own."""

    def __init__(self, folder: str | Path, name: str) -> None:
        self.folder, self.name = Path(folder), name
        self._files: dict[int, int] = {}

    def write(self, what: str, **fields: Any) -> None:
        """Append a record by one system call, which other threads' lines can't get into."""
        line = json.dumps({"what": what, "t": now(), "pid": os.getpid(), "process": self.name, **fields})
        os.write(self._file(), f"{line}\n".encode())

    def _file(self) -> int:
        pid = os.getpid()
        if pid not in self._files:
            path = self.folder / f"{self.name}-{pid}.jsonl"
            self._files[pid] = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        return self._files[pid]


def read(folder: Path) -> list[Record]:
    """Return the records of all logs in a folder, in the order of time."""
    records = [record for path in sorted(folder.glob("*.jsonl")) for record in _lines(path)]
    return sorted(records, key=lambda record: float(record["t"]))


def _lines(path: Path) -> Iterator[Record]:
    for line in path.read_text(errors="replace").splitlines():
        try:
            yield json.loads(line)
        except ValueError:  # the last one of a process that was killed
            continue
