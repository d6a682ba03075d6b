"""The settings as the code sees them."""

from __future__ import annotations

from typing import Any

import pytest

from jwt_upstream.conf import DEFAULTS, conf


@pytest.mark.parametrize(
    ("setting", "name", "value"),
    [
        ("JWT_UPSTREAM", "upstreams", {"up": {"BASE_URL": "https://up.example.com/"}}),
        ("JWT_UPSTREAM_CACHE_SECONDS", "cache_seconds", 1.5),
        ("JWT_UPSTREAM_LEASE_SECONDS", "lease_seconds", 1.5),
        ("JWT_UPSTREAM_WAIT_SECONDS", "wait_seconds", 1.5),
        ("JWT_UPSTREAM_SETTLE_SECONDS", "settle_seconds", 1.5),
        ("JWT_UPSTREAM_OUTAGE_SECONDS", "outage_seconds", 1.5),
    ],
)
def test_setting(settings: Any, setting: str, name: str, value: Any) -> None:
    """A setting is read at every access, so that a changed one counts at once, and has a default."""
    setattr(settings, setting, value)
    assert getattr(conf, name) == value
    delattr(settings, setting)
    assert getattr(conf, name) == DEFAULTS[setting]


def test_seconds_are_floats(settings: Any) -> None:
    """Seconds may be written as an integer or, as environments have them, as digits."""
    settings.JWT_UPSTREAM_LEASE_SECONDS = 30
    settings.JWT_UPSTREAM_WAIT_SECONDS = "15"
    assert [type(seconds) for seconds in (conf.lease_seconds, conf.wait_seconds)] == [float, float]
