"""Processes that deliver an outbox, or leave something in it: ``python -m tests.support.telling_workers``."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from tests.support import workers


def deliver_until(file: str) -> int:
    """Deliver again and again until a file exists; return how many messages that were."""
    from jwt_upstream.alerts import deliver

    delivered = deliver()
    while not Path(file).exists():
        delivered += deliver()
    return delivered


def call_once() -> float:
    """Call, and return when this process was about to end."""
    from jwt_upstream.client import UpstreamClient
    from jwt_upstream.exceptions import AccountLocked

    with suppress(AccountLocked):
        UpstreamClient("up").get("orders/")
    return time.time()


if __name__ == "__main__":
    workers.main(globals())
