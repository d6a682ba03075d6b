"""The nemesis: does what the plan says, each lane in a thread of its own, and logs when each fault begins and ends."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from cryptography.fernet import Fernet

from tests.chaos.cast import SITES
from tests.chaos.databases import Database
from tests.chaos.fleet import Fleet, all_know
from tests.chaos.logs import Log
from tests.chaos.plan import Step

T = TypeVar("T")

#: Users that stay locked to the end.
LOCKED_FOR_GOOD = (("lenient", "lenient7"), ("stated", "stated7"))
_KEYS_SECONDS = 60.0


class Nemesis:
    """Brings faults over a fleet, its database and its upstreams."""

    def __init__(self, fleet: Fleet, database: Database, server: str, log: Log) -> None:
        self.fleet, self.database, self.server, self.log = fleet, database, server, log
        self.folder = Path(fleet.told["folder"])
        self._is_over = threading.Event()

    def work(self, steps: Sequence[Step], seconds: float) -> None:
        """Do all steps, at most for so many seconds, and heal what is broken."""
        began = time.monotonic()
        lanes = {step.lane: [each for each in steps if each.lane == step.lane] for step in steps}
        threads = [threading.Thread(target=self._lane, args=(lane, began, seconds)) for lane in lanes.values()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._heal()

    def _lane(self, steps: Sequence[Step], began: float, seconds: float) -> None:
        for step in steps:
            time.sleep(max(0.0, began + step.at - time.monotonic()))
            if time.monotonic() > began + seconds:
                return
            self._fault(step)

    def _fault(self, step: Step) -> None:
        told = {"lane": step.lane, "fault": step.fault, "seconds": step.seconds}
        self.log.write("fault begun", **told)
        try:
            self._do(step)
        except Exception as error:  # the server that is to be told is the one that is away
            self.log.write("fault failed", error=repr(error)[:200], **told)
        self.log.write("fault ended", **told)

    def _do(self, step: Step) -> None:
        lanes: dict[str, Callable[[Step], None]] = {
            "kills": self._harm_process,
            "stops": self._stop,
            "database": lambda step: self.database.faults[step.fault](step.seconds),
            "upstreams": self._trouble,
            "accounts": self._lock,
            "keys": lambda _: self._change_keys(),
        }
        lanes[step.lane](step)

    def _stop(self, step: Step) -> None:
        name = _of(self.fleet.targets, step)
        self.fleet.await_moment(name, _moment(step))
        self.fleet.stop(name, step.seconds)

    def _harm_process(self, step: Step) -> None:
        name = _of(self.fleet.targets, step)
        self.fleet.await_moment(name, _moment(step))
        harm: dict[str, Callable[[str], Any]] = {
            "kill": self.fleet.kill,
            "terminate": self.fleet.replace,
            "fork": lambda name: self.fleet.send(name, signal.SIGUSR2),
            "clock": lambda name: self.fleet.send(name, signal.SIGUSR1),
        }
        harm[step.fault](name)

    def _trouble(self, step: Step) -> None:
        alias = _of(SITES, step).alias
        if step.fault == "expire":
            self.control(do="expire", alias=alias)
            return
        share = 0.3 + 0.7 * step.target
        self.control(do="trouble", alias=alias, mode=step.fault, seconds=step.seconds, share=share)
        time.sleep(step.seconds)

    def _lock(self, step: Step) -> None:
        site = _of(SITES, step)
        # A client's own grant knows no user who could be locked.
        alias, user = site.alias, site.user(_of(site.names, step))
        if site.is_machine or (alias, user) in LOCKED_FOR_GOOD:
            return
        self.control(do="lock", alias=alias, user=user)
        time.sleep(step.seconds)
        self.control(do="unlock", alias=alias, user=user)

    def _change_keys(self) -> None:
        """Add a key, and let it encrypt once every process knows it."""
        old, new = json.loads((self.folder / "keys.json").read_text())[0], Fernet.generate_key().decode()
        self._write_keys([old, new])
        end = time.monotonic() + _KEYS_SECONDS
        while time.monotonic() < end:
            time.sleep(0.5)
            if all_know(self.folder, new, [process.pid for process in self.fleet.running.values()]):
                self._write_keys([new, old])
                self.log.write("keys changed")
                return

    def _write_keys(self, keys: list[str]) -> None:
        everything = json.loads((self.folder / "keys.json").read_text())
        others = [key for key in everything if key not in keys]  # rows that nobody has written since need theirs
        written = self.folder / "keys.new"
        written.write_text(json.dumps([*keys, *others]))
        os.replace(written, self.folder / "keys.json")

    def lock_for_good(self) -> None:
        """Lock the accounts that stay so."""
        for alias, user in LOCKED_FOR_GOOD:
            self.control(do="lock", alias=alias, user=user)

    def _heal(self) -> None:
        for site in SITES:
            self.control(do="trouble", alias=site.alias, mode="", seconds=0, share=0)
        for name in self.fleet.targets:
            self.fleet.send(name, signal.SIGCONT)

    def control(self, **told: Any) -> Any:
        """Tell the upstreams something."""
        request = urllib.request.Request(f"{self.server}control/", json.dumps(told).encode())
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read())


def _moment(step: Step) -> str:
    """Return what a process has just logged when it is struck: anything, a refresh it asks for, or an answer."""
    return ("", "asked", "received")[int(step.target * 1000) % 3]


def _of(choices: Sequence[T], step: Step) -> T:
    return choices[int(step.target * len(choices))]
