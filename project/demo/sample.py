"""The sample upstream as the demo sees it: a process, its switches and its counts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

import requests

#: Where it listens, unless that is busy.
PORT = 8001


class Sample:
    """The running sample upstream; what it says of itself comes over HTTP, from the process that counts."""

    def __init__(self, url: str) -> None:
        self.url = url

    @classmethod
    @contextmanager
    def started(cls, port: int = PORT, own: Mapping[str, str] = MappingProxyType({})) -> Iterator[Sample]:
        """Start it on this port, or any free one, with an environment of its own; it ends with this process."""
        command = [sys.executable, "-m", "project.sample_upstream", "--port", str(port), "--until-stdin-ends"]
        pipe, environment = subprocess.PIPE, {**os.environ, **own}
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                url = process.stdout.readline().strip()
                if not url:
                    raise SystemExit("The sample upstream did not start; see what it says above.")
                yield cls(url)
            finally:
                process.stdin.close()

    def throw(self, switch: str) -> None:
        """Throw a switch: expire, break, heal, lock or unlock."""
        requests.post(f"{self.url}switches/", json={"switch": switch}, timeout=5).raise_for_status()

    def state(self) -> dict[str, object]:
        """Return how it is switched and what it counted."""
        response = requests.get(f"{self.url}switches/", timeout=5)
        response.raise_for_status()
        return dict(response.json())

    def counts(self) -> dict[str, int]:
        """Return what it counted."""
        counts = self.state()["counts"]
        assert isinstance(counts, dict)
        return counts

    def counted_since(self, before: dict[str, int]) -> dict[str, int]:
        """Return what it counted since ``counts`` returned this."""
        return {name: count - before[name] for name, count in self.counts().items()}
