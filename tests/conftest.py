"""Fixtures: a real upstream, the settings that point at it, and a client which is logged in."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from jwt_upstream.client import UpstreamClient
from jwt_upstream.models import Credential
from tests.support.upstream import Upstream


@pytest.fixture
def upstream(settings: Any) -> Iterator[Upstream]:
    """A real HTTP upstream, configured as "up"."""
    with Upstream() as server:
        settings.JWT_UPSTREAM = {
            "up": {
                "BACKEND": "jwt_upstream.backends.Backend",
                "BASE_URL": server.url,
                "OPTIONS": {"refresh_fields": {"refresh": "{refresh}"}},
            }
        }
        yield server


@pytest.fixture
def client(upstream: Upstream, transactional_db: None) -> Iterator[UpstreamClient]:
    """A client of "up" which is logged in; the database is as in production, not one big transaction."""
    client = UpstreamClient("up")
    client.login(username=upstream.user, password=upstream.password)
    upstream.seen.clear()
    yield client
    # A refresh that nobody waited for must not go on in the next test's database.
    for thread in threading.enumerate():
        if thread.name == "jwt_upstream refresh":
            thread.join(20)


@pytest.fixture
def credential(client: UpstreamClient) -> Credential:
    """The row behind ``client``."""
    return Credential.objects.get()
