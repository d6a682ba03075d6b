"""Who holds a lease, and whether it is gone: a process of this host can be seen to be, one of another host can't."""

from __future__ import annotations

import os
import socket
from collections import OrderedDict
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from jwt_upstream.clock import elapsed
from jwt_upstream.process import PerProcess

_PROC = Path("/proc")
#: Where a process's start stands in /proc/PID/stat, after its name in parentheses (proc(5): field 22, of which 20).
_START_FIELD = 19
_GONE = {"Z", "X"}
#: How many credentials a process keeps in mind whose lease expires too far away.
_ENTRIES = 1000


def new_lease() -> str:
    """Return a lease that nobody else has, which names this host and process."""
    return f"{uuid4().hex} {holder()}"


def holder_is_gone(lease: str) -> bool:
    """Tell whether the process that holds a lease ran on this host and does not exist any more.

    False whenever that is unknown: for another host or container, or where there is no /proc. A process that is
    stopped is not gone, and one that was started later under the same process id is not the holder.
    """
    _, _, name = lease.partition(" ")
    if name.count(":") != 2:
        return False
    host, pid, start = name.split(":")
    return host == _host() and _start(pid) != start


def _identity() -> str:
    host, pid = _host(), str(os.getpid())
    start = _start(pid)
    return f"{host}:{pid}:{start}" if host and start else ""


holder = PerProcess(_identity)


def _host() -> str:
    """Return a name for this host, or container, as long as it runs; "" where it is unknown."""
    # A boot of a kernel, and the namespace in which its process ids mean something: containers have their own.
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        namespace = os.readlink(_PROC / "self/ns/pid")
    except OSError:
        return ""
    return sha256(f"{boot} {namespace} {socket.gethostname()}".encode()).hexdigest()[:16]


def _start(pid: str) -> str:
    """Return when a process was started, in the kernel's ticks; "" if there is none, or only a zombie is left."""
    try:
        stat = (_PROC / pid / "stat").read_text(errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in _GONE else fields[_START_FIELD]


class SeenLeases:
    """How long this process has seen leases whose expiry is too far away: the database's clock may have been set back.

    Kept is the last one of each credential, and when it was seen first.
    """

    def __init__(self) -> None:
        self._seen: OrderedDict[int, tuple[str, float]] = OrderedDict()

    def is_outlasted(self, key: int, lease: str, seconds: float) -> bool:
        """Tell whether this process has seen a lease for longer than leases last."""
        known, since = self._seen.get(key, ("", 0.0))
        if known != lease:
            since = elapsed()
            self._seen[key] = (lease, since)
            while len(self._seen) > _ENTRIES:
                self._seen.popitem(last=False)
        return elapsed() - since > seconds


seen_leases = PerProcess(SeenLeases)
