"""The servers of customers that have one of their own, before Django is set up."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from project.demo.sample import Sample

_NAMES = ("acme", "globex")


@contextmanager
def started(folder: Path) -> Iterator[None]:
    """Start a server for each, with a database, keys and a password of its own; the environment tells of them."""
    with ExitStack() as stack:
        told = {}
        for name in _NAMES:
            own = {
                "SAMPLE_UPSTREAM_DATABASE_URL": f"sqlite:///{folder.resolve() / name}.sqlite3",
                "SAMPLE_UPSTREAM_USERNAME": name,
                "SAMPLE_UPSTREAM_PASSWORD": secrets.token_urlsafe(12),
                "SAMPLE_UPSTREAM_BRANCHES": "",
            }
            url = stack.enter_context(Sample.started(0, own)).url
            told[name] = {"port": str(urlsplit(url).port), "password": own["SAMPLE_UPSTREAM_PASSWORD"]}
        os.environ["SAMPLE_UPSTREAM_TENANTS"] = json.dumps(told)
        yield
