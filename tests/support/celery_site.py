"""A Celery app whose tasks call the upstream; the worker calls it too, before it forks. As a program it sends tasks.

Broker and results are files in a folder, so no server is needed.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from celery import Celery, group

from tests.support import workers
from tests.support.crash_workers import _numbered
from tests.support.servers import CELERY_FOLDER
from tests.support.workers import FOREVER

_folder = Path(os.environ[CELERY_FOLDER])
_queue = str(_folder / "queue")
app = Celery("site", broker="filesystem://", backend=f"file://{_folder / 'results'}")
app.conf.broker_transport_options = {
    "data_folder_in": _queue,
    "data_folder_out": _queue,
    "control_folder": str(_folder / "control"),
}
app.conf.worker_prefetch_multiplier = 1
app.conf.broker_connection_retry_on_startup = True


def site() -> Any:
    """Return the app with a task, after a call to the upstream by the client that the tasks go on to use."""
    workers.configure()
    from django.db import connections

    from jwt_upstream.client import UpstreamClient

    client = UpstreamClient("up")
    assert _numbered(client, 0) == "ok"
    connections.close_all()

    @app.task(name="call")  # type: ignore[untyped-decorator]
    def call(number: int) -> list[Any]:
        return [_numbered(client, number), os.getpid()]

    return app


def send(number: int) -> list[list[Any]]:
    """Have the worker do so many tasks; return what each returned."""
    results = group(app.signature("call", [each]) for each in range(number)).apply_async()
    found: list[list[Any]] = results.get(timeout=4 * FOREVER)
    return found


if __name__ == "__main__":
    print(json.dumps(send(int(sys.argv[1]))))
else:
    site()
