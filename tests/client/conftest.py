"""Fixtures for the client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from jwt_upstream.client import UpstreamClient
from tests.support.proxy import Proxy
from tests.support.rows import unbind
from tests.support.upstream import Upstream


@pytest.fixture
def proxy(client: UpstreamClient, upstream: Upstream, settings: Any) -> Iterator[Proxy]:
    """A proxy that makes every host the upstream; "up" is at http://api.x/ now, its API below /v1/."""
    with Proxy(upstream.url) as proxy:
        options = settings.JWT_UPSTREAM["up"]["OPTIONS"]
        settings.JWT_UPSTREAM["up"]["BASE_URL"] = "http://api.x/v1/"
        options |= {"proxies": {"http": proxy.url, "https": proxy.url}, "refresh_path": "/refresh"}
        unbind()
        yield proxy
