"""Whose lease it is: a process of this host that is seen to be gone, and every other one, which is not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from jwt_upstream.store import lease as module
from jwt_upstream.store.lease import holder_is_gone, new_lease

SAY_LEASE = "from jwt_upstream.store.lease import new_lease; print(new_lease(), flush=True); input()"


def child() -> tuple[subprocess.Popen[str], str]:
    """Start a process that holds a lease; return it and the lease."""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    code = f"import django; django.setup(); {SAY_LEASE}"
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", code], env=environment, stdin=pipe, stdout=pipe, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there is no /proc")
def test_process_that_ends() -> None:
    """A holder is gone once its process is, a zombie that nobody has waited for yet included."""
    process, lease = child()
    with process:
        assert not holder_is_gone(lease)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert holder_is_gone(lease)
        process.wait()
        assert holder_is_gone(lease)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there is no /proc")
def test_another_process_with_the_same_id() -> None:
    """A process that was started later is not the holder, although it has the holder's process id."""
    lease, _, start = new_lease().rpartition(":")
    assert not holder_is_gone(f"{lease}:{start}")
    assert holder_is_gone(f"{lease}:{int(start) - 1}")


def test_every_lease_is_another_one() -> None:
    """Two leases of one process differ, and both fit their column."""
    one, other = new_lease(), new_lease()
    assert one != other
    assert len(one) <= 100


@pytest.mark.parametrize(
    "change",
    [
        lambda lease: lease.replace(" ", " f", 1),
        lambda lease: lease.partition(" ")[0],
        lambda lease: "another",
        lambda lease: "",
        lambda lease: f"{lease.rpartition(':')[0]}",
    ],
)
def test_holder_that_can_not_be_told(change: Callable[[str], str]) -> None:
    """A holder on another host, or one that named no process, is never taken for gone."""
    assert not holder_is_gone(change(new_lease().rpartition(":")[0] + ":1"))


def test_forked_child_has_a_name_of_its_own() -> None:
    """A forked child holds leases under its own process id."""
    parent = new_lease().partition(" ")[2]
    pid = os.fork()
    if not pid:
        os._exit(0 if new_lease().partition(" ")[2] != parent else 1)
    assert os.waitpid(pid, 0)[1] == 0


def test_no_proc(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    """Where there is no /proc a lease names nobody, and nobody is taken for gone."""
    monkeypatch.setattr(module, "_PROC", tmp_path)
    monkeypatch.setattr(module.holder, "_made", {})
    lease = new_lease()
    assert lease.partition(" ")[2] == ""
    assert not holder_is_gone(lease)
