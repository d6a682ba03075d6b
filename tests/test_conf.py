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
        ("JWT_UPSTREAM_CACHE_ENTRIES", "cache_entries", 100),
        ("JWT_UPSTREAM_LEASE_SECONDS", "lease_seconds", 1.5),
        ("JWT_UPSTREAM_WAIT_SECONDS", "wait_seconds", 1.5),
        ("JWT_UPSTREAM_SETTLE_SECONDS", "settle_seconds", 1.5),
        ("JWT_UPSTREAM_OUTAGE_SECONDS", "outage_seconds", 1.5),
        ("JWT_UPSTREAM_NOTIFY_AFTER_SECONDS", "notify_after_seconds", 1.5),
        ("JWT_UPSTREAM_NOTIFIER_SECONDS", "notifier_seconds", 1.5),
        ("JWT_UPSTREAM_EXPIRY_WARNING_DAYS", "expiry_warning_days", 1.5),
        ("JWT_UPSTREAM_SITE_URL", "site_url", "https://ops.example.com"),
        ("JWT_UPSTREAM_WEBHOOK_URL", "webhook_url", "https://chat.example.com/hook"),
        ("JWT_UPSTREAM_WEBHOOK_SECRET", "webhook_secret", "s3cret"),
        ("JWT_UPSTREAM_EVENT_DAYS", "event_days", None),
        ("JWT_UPSTREAM_EVENT_DAYS", "event_days", 30.5),
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


class Pager:
    """A notifier that is an object."""

    def __call__(self, alert: Any) -> None:
        """Tell nobody."""


def test_names_of_notifiers(settings: Any) -> None:
    """The outbox knows notifiers by their dotted paths, whether settings have the path, a function or an object."""
    assert list(conf.notifiers) == ["jwt_upstream.alerts.mail"]
    settings.JWT_UPSTREAM_NOTIFIERS = ["project.chat", test_seconds_are_floats, Pager()]
    assert list(conf.notifiers) == ["project.chat", f"{__name__}.test_seconds_are_floats", f"{__name__}.Pager"]


def test_site_url_without_a_slash(settings: Any) -> None:
    """A slash at the end of the site's URL, to which paths are appended, does no harm."""
    settings.JWT_UPSTREAM_SITE_URL = "https://ops.example.com/"
    assert conf.site_url == "https://ops.example.com"
