"""System checks of the keys that encrypt tokens."""

from __future__ import annotations

from typing import Any

import pytest

from jwt_upstream import checks
from tests.support.checks import found


@pytest.mark.parametrize(
    ("keys", "ids"),
    [
        ("one string", ["E006"]),
        (None, ["E006"]),
        ([5], ["E006"]),
        (["too short", "ö"], ["E006", "E006"]),
    ],
)
def test_bad_keys(settings: Any, keys: Any, ids: list[str]) -> None:
    """Keys that are none are found, and not shown."""
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = keys
    messages = checks.check_settings()
    assert found(messages) == ids
    assert "too short" not in str(messages)


def test_derived_key(settings: Any) -> None:
    """Keys derived from SECRET_KEY are good enough to develop with, and a warning at deployment."""
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = []
    assert checks.check_settings() == []
    assert found(checks.check_keys()) == ["W003"]
