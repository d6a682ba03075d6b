"""What every process of a run keeps: its log, its part, and the settings it was told."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import django
from django.conf import settings

from tests.chaos.logs import Log
from tests.chaos.settings import TOLD, keys

log = Log(TOLD["folder"], TOLD["name"])
stopping = threading.Event()


def begin() -> None:
    """Set Django up, log what this process is, and end by SIGTERM as a server's worker does.

    Then there are no new calls, and those under way come to their end.
    """
    django.setup()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run ends its processes itself
    log.write("process", role=TOLD["role"], is_calm=TOLD["is_calm"])
    threading.Thread(target=_watch, name="chaos watch", daemon=True).start()


def _watch() -> None:
    follow_keys()
    while not stopping.wait(1.0):
        follow_keys()
        log.write("sample", **usage())


def follow_keys() -> None:
    """Use the encryption keys as they are now, and say so, so that nobody encrypts by one that we don't know."""
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = known = keys()
    (Path(TOLD["folder"]) / f"{os.getpid()}.keys").write_text(json.dumps(known))


def usage() -> dict[str, int]:
    """Return the memory in kB, the threads and the open files of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    files = len(os.listdir("/proc/self/fd"))
    return {"memory": pages * os.sysconf("SC_PAGE_SIZE") // 1024, "threads": threading.active_count(), "files": files}


def wait_or_stop(seconds: float) -> None:
    """Wait, at most until the process is to end."""
    end = time.monotonic() + seconds
    while not stopping.is_set() and time.monotonic() < end:
        time.sleep(min(0.2, max(0.0, end - time.monotonic())))
