"""Log records of what was committed, as structured logs see them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import UpstreamError
from tests.support.upstream import Answer, Upstream

FIELDS = ("upstream", "account", "event", "verdict", "status_code", "attempt")


def records(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """Return the fields of the records beside their messages."""
    return [vars(record) for record in caplog.records if record.name == "jwt_upstream"]


def test_fields_of_events(client: UpstreamClient, upstream: Upstream, caplog: pytest.LogCaptureFixture) -> None:
    """A record says in fields what its message says in words; ``attempt`` is how often a refresh failed in a row."""
    caplog.set_level("INFO")
    client.refresh()
    upstream.answers["/refresh"] = Answer(503)
    for _ in range(2):
        with suppress(UpstreamError):
            client.refresh()
    refreshed, failed = records(caplog)
    assert [refreshed[name] for name in FIELDS] == ["up", "default", "refreshed", "ok", 200, None]
    assert [failed[name] for name in FIELDS] == ["up", "default", "failed", "transient", 503, 1]
    assert 0 < failed["seconds"] < 10


def test_fields_of_incidents(
    client: UpstreamClient, upstream: Upstream, caplog: pytest.LogCaptureFixture, settings: Any
) -> None:
    """An incident that opens or closes is told apart from the event that opened or closed it."""
    caplog.set_level("INFO")
    settings.JWT_UPSTREAM_OUTAGE_SECONDS = 0
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["backoff"] = 0.0
    client = UpstreamClient("up")
    upstream.answers["/refresh"] = Answer(503)
    with suppress(UpstreamError):
        client.refresh()
    del upstream.answers["/refresh"]
    client.refresh()
    told = [(each["event"], each["upstream"], each["incident"]) for each in records(caplog) if "incident" in each]
    assert told == [("incident_opened", "up", "down"), ("incident_closed", "up", "down")]
