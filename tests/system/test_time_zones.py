"""Projects without USE_TZ, and in any time zone: every moment is the same one."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client

from jwt_upstream.background import refresh_due
from jwt_upstream.client import UpstreamClient
from jwt_upstream.clock import host_now
from jwt_upstream.exceptions import CredentialRejected, RefreshUnavailable
from jwt_upstream.models import Credential, Event
from tests.support.clock import pass_time
from tests.support.upstream import Answer, Upstream


@pytest.fixture(params=[(False, "Europe/Berlin"), (False, "UTC"), (True, "Asia/Tokyo")], ids=str)
def zone(request: pytest.FixtureRequest, settings: Any) -> Any:
    """The setting USE_TZ, and a time zone."""
    connection.close()  # a connection keeps the zone that it was opened with
    settings.USE_TZ, settings.TIME_ZONE = request.param
    yield request.param
    connection.close()


def test_life_of_a_credential(zone: Any, client: UpstreamClient, upstream: Upstream) -> None:
    """Login, call, refresh by a 401 and by expiry, a failure and its backoff, and a refusal work."""
    upstream.lifetime = 300
    upstream.expire()
    assert client.get("orders/").status_code == 200
    pass_time(290)
    assert client.get("orders/").status_code == 200
    assert upstream.refreshes == 2
    upstream.expire()
    upstream.answers["/refresh"] = Answer(503)
    for _ in range(2):
        with pytest.raises(RefreshUnavailable):
            client.get("orders/")
    assert upstream.refreshes == 3
    upstream.answers["/refresh"] = Answer(401, {"detail": "Token is invalid or expired"})
    pass_time(60)
    with pytest.raises(CredentialRejected) as caught:
        client.get("orders/")
    assert caught.value.since is not None
    assert abs(caught.value.since - host_now()) < timedelta(seconds=30)


def test_stored_moment_is_the_same_in_every_zone(zone: Any, db: None) -> None:
    """A moment that is stored is read as the same moment, aware, in the hour that summer time ends as well."""
    for at in (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)):
        row = Credential.objects.create(upstream="crm", account=str(at), access_expires_at=at)
        row.refresh_from_db()
        if connection.vendor != "postgresql" or zone[0]:  # whose driver gives a naive local time without USE_TZ
            assert row.access_expires_at == at
        assert row.access_expires_at.tzinfo is not None
        assert Credential.objects.filter(access_expires_at__lte=at, pk=row.pk).exists()
        assert not Credential.objects.filter(access_expires_at__lt=at, pk=row.pk).exists()


def test_naive_moment_is_one_of_the_project(zone: Any, settings: Any, db: None) -> None:
    """A look-up by a naive moment, as the admin's date filter makes it, means the project's time zone."""
    Event.objects.create(upstream="crm", account="default", kind="refreshed", at=datetime(2026, 7, 1, 12, tzinfo=UTC))
    hours = {"Europe/Berlin": 14, "UTC": 12, "Asia/Tokyo": 21}[settings.TIME_ZONE]
    assert Event.objects.filter(at__lte=datetime(2026, 7, 1, hours)).exists()
    assert not Event.objects.filter(at__lt=datetime(2026, 7, 1, hours)).exists()


def test_what_people_see(zone: Any, client: UpstreamClient, upstream: Upstream) -> None:
    """The commands and the admin's pages work, and the background refreshes what is due."""
    upstream.lifetime = 300
    client.refresh()
    out = io.StringIO()
    call_command("upstream_status", stdout=out)
    assert "5 min" in out.getvalue() or "4 min" in out.getvalue()
    pass_time(290)
    assert refresh_due().refreshed == 1
    browser = Client()
    browser.force_login(User.objects.create(username="root", is_staff=True, is_superuser=True))
    row = Credential.objects.get()
    for page in ("credential/", f"credential/{row.pk}/change/", "event/?at__gte=2020-01-01", "incident/"):
        assert browser.get(f"/admin/jwt_upstream/{page}").status_code == 200
