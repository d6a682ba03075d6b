"""``python -m project.demo.callers THREADS``: calls the upstream from so many threads at once, when told to."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import django
from django.db import connection


def main() -> None:
    """Say that it is ready, wait for a line, call, and print the statuses."""
    django.setup()
    from jwt_upstream.client import UpstreamClient

    def call(_: int) -> int:
        try:
            return UpstreamClient("sample").get("orders/").status_code
        finally:
            connection.close()

    threads = int(sys.argv[1])
    print("ready", flush=True)
    if not sys.stdin.readline():
        return  # whoever started this is gone
    with ThreadPoolExecutor(threads) as pool:
        print(json.dumps(list(pool.map(call, range(threads)))))


if __name__ == "__main__":
    main()
