"""Refresh tokens that end: told of ahead of time if no refresh puts that off."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError

from jwt_upstream.client import UpstreamClient
from jwt_upstream.models import Credential, Notice
from jwt_upstream.store import outbox
from tests.support.clock import pass_time
from tests.support.upstream import Answer, Upstream

DAY = 86400.0


def refresh(upstream: Upstream, client: UpstreamClient, lives_for: float | None, is_rotated: bool = True) -> None:
    """Refresh; the answer says for how long the refresh token lives on, or has none."""
    tokens: dict[str, Any] = {"access": f"access-{Notice.objects.count()}-{lives_for}"}
    tokens |= {"refresh": f"refresh-{lives_for}"} if is_rotated else {}
    tokens |= {"refresh_expires_in": lives_for} if lives_for is not None else {}
    upstream.answers["/refresh"] = Answer(200, tokens)
    client.refresh()


@pytest.fixture
def ending(client: UpstreamClient) -> UpstreamClient:
    """A client whose refresh token is known to end in ten days, and that was refreshed an hour ago."""
    row = Credential.objects.get()
    Credential.objects.update(refresh_expires_at=row.now() + timedelta(days=10), obtained_at=row.now())
    pass_time(3600)
    return client


@pytest.mark.parametrize("is_rotated", [False, True])
def test_expiry_that_stays(is_rotated: bool, ending: UpstreamClient, upstream: Upstream) -> None:
    """An expiry that a refresh leaves where it was is told of once, whether or not the token is a new one."""
    left = 10 * DAY - 3600
    refresh(upstream, ending, left if is_rotated else None, is_rotated)
    pass_time(3600)
    refresh(upstream, ending, left - 3600 if is_rotated else None, is_rotated)
    (notice,) = {(each.kind, each.account) for each in Notice.objects.all()}
    assert notice == ("expiring", "default")


def test_expiry_that_is_put_off(ending: UpstreamClient, upstream: Upstream) -> None:
    """An expiry that every refresh puts off is no news, however near."""
    for _ in range(3):
        refresh(upstream, ending, 10 * DAY)
        pass_time(3600)
    assert not Notice.objects.exists()


@pytest.mark.parametrize("days", [5, 0])
def test_how_many_days_before(days: float, ending: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """How many days before is a setting; with 0 nothing is told of."""
    settings.JWT_UPSTREAM_EXPIRY_WARNING_DAYS = days
    refresh(upstream, ending, None, is_rotated=False)
    assert not Notice.objects.exists()


def test_refreshes_within_a_minute(ending: UpstreamClient, upstream: Upstream) -> None:
    """Two refreshes within a minute don't show whether the expiry is put off."""
    Credential.objects.update(obtained_at=Credential.objects.get().now())
    refresh(upstream, ending, None, is_rotated=False)
    assert not Notice.objects.exists()


def test_unknown_before(ending: UpstreamClient, upstream: Upstream) -> None:
    """An expiry that is stated for the first time may be put off by the next refresh."""
    Credential.objects.update(refresh_expires_at=None)
    refresh(upstream, ending, 9 * DAY)
    assert not Notice.objects.exists()


def test_automatic_login(ending: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """Where the app logs in by itself no person has to."""
    settings.JWT_UPSTREAM["up"]["LOGIN"] = {"username": upstream.user, "password": upstream.password}
    refresh(upstream, ending, None, is_rotated=False)
    assert not Notice.objects.exists()


def test_database_that_fails(
    ending: UpstreamClient, upstream: Upstream, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    """A warning that can't be written takes no token from the caller."""

    def fail(*_: Any) -> None:
        raise OperationalError("no such table")

    monkeypatch.setattr(outbox, "warn", fail)
    refresh(upstream, ending, None, is_rotated=False)
    assert Credential.objects.get().pair.access.startswith("access-0")
    assert "the warning of its expiry was not recorded: OperationalError" in caplog.text
