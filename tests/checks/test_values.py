"""System checks of numbers, switches and names."""

from __future__ import annotations

from typing import Any

import pytest

from jwt_upstream import checks
from tests.support.checks import found


@pytest.mark.parametrize("value", ["30", None, True, -1, float("inf"), float("nan"), 1e10])
def test_bad_seconds(settings: Any, value: Any) -> None:
    """What must be a number of seconds is checked to be one."""
    settings.JWT_UPSTREAM_LEASE_SECONDS = value
    assert found(checks.check_settings()) == ["E008"]


@pytest.mark.parametrize("name", ["JWT_UPSTREAM_ASYNC_THREADS", "JWT_UPSTREAM_CACHE_ENTRIES"])
@pytest.mark.parametrize("value", ["30", None, True, 0, 2.5])
def test_bad_whole_number(settings: Any, name: str, value: Any) -> None:
    """How many calls are awaited at a time, and how many accounts are cached, are whole numbers from 1."""
    setattr(settings, name, value)
    assert found(checks.check_settings()) == ["E008"]


@pytest.mark.parametrize("value", ["False", None, 0])
def test_bad_switch(settings: Any, value: Any) -> None:
    """What must be True or False is checked to be one: the text "False" would be taken for true."""
    settings.JWT_UPSTREAM_ACCEPT_OLD_VALUES = value
    assert found(checks.check_settings()) == ["E008"]


@pytest.mark.parametrize("name", ["JWT_UPSTREAMS", "JWT_UPSTREAM_ENCRYPTION_KEY"])
def test_unknown_setting(settings: Any, name: str) -> None:
    """A setting that looks like one of the app's and is none is taken for a slip of the pen."""
    setattr(settings, name, "x")
    (message,) = checks.check_settings()
    assert found([message]) == ["E007"]
    assert message.msg == f"Unknown setting {name}."
    assert str(message.hint).endswith(
        f"and 10 more; did you mean '{name.rstrip('S') if name.endswith('S') else name + 'S'}'?"
    )
