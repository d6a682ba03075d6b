"""Fixtures for backends, which need no settings and no database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.upstream import Upstream


@pytest.fixture
def server() -> Iterator[Upstream]:
    """A real HTTP server which answers as each test says."""
    with Upstream() as server:
        yield server
