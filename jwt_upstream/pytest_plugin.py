"""The fixture for pytest; every run of pytest loads it where the package is installed, so it imports little."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from importlib import import_module
from typing import Any

import pytest


@pytest.fixture
def fake_upstream(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A function that puts a ``FakeUpstream`` in the place of an upstream until the test is over, and returns it.

    ``fake_upstream("crm")``, with the arguments of ``jwt_upstream.testing.FakeUpstream``.
    """
    # A test that has a database has it before its upstreams are logged in.
    for name in ("db", "transactional_db"):
        if name in request.fixturenames:
            request.getfixturevalue(name)
    # Not above: a plugin is loaded before Django is configured, and where there is no Django.
    testing: Any = import_module("jwt_upstream.testing")
    with ExitStack() as stack:

        def fake(*args: Any, **kwargs: Any) -> Any:
            return stack.enter_context(testing.FakeUpstream(*args, **kwargs))

        yield fake
