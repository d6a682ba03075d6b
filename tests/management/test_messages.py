"""What upstream_status says of messages to admins, and whether they come; upstream_refresh delivers them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from jwt_upstream.alerts import Alert
from jwt_upstream.clock import host_now
from jwt_upstream.models import Notice
from jwt_upstream.store import EventDetails, outbox, transitions
from jwt_upstream.testing import logged_in
from tests.support.commands import status
from tests.support.rows import put

told: list[Alert] = []


def tell(alert: Alert) -> None:
    """Keep what is told."""
    told.append(alert)


def fail(alert: Alert) -> None:
    """Fail."""
    raise ConnectionRefusedError(111, "Connection refused")


@pytest.fixture(autouse=True)
def nothing_told(settings: Any) -> None:
    """Begin anew, with one notifier."""
    told.clear()
    settings.JWT_UPSTREAM_NOTIFIERS = [tell]


def test_test_notification(transactional_db: None) -> None:
    """Every notifier sends a test message, and that worked."""
    assert status("--test-notification") == (f"{__name__}.tell: ok\n", "")
    assert [alert.kind for alert in told] == ["test"]


def test_test_notification_that_fails(transactional_db: None, settings: Any) -> None:
    """The exit code is 1 if a notifier failed; each is named, with why."""
    settings.JWT_UPSTREAM_NOTIFIERS = [tell, fail]
    out, error = status("--test-notification")
    lines = [f"{__name__}.tell: ok", f"{__name__}.fail: failed: ConnectionRefusedError: Connection refused"]
    assert (out.splitlines(), error) == (lines, "1 of 2 failed.")


def test_no_notifiers(db: None, settings: Any) -> None:
    """The exit code is 1 if there is no notifier."""
    settings.JWT_UPSTREAM_NOTIFIERS = []
    assert status("--test-notification") == ("", "JWT_UPSTREAM_NOTIFIERS is empty: nobody is told of anything.")


def test_expiries(db: None, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ends soon, and is told of, is listed with what to do; what is out of date, or far away, is not."""
    monkeypatch.setenv("COLUMNS", "200")
    secret, login = datetime.now(UTC).date() + timedelta(days=9), host_now() + timedelta(days=5, minutes=1)
    options = {"client_secret_expires_at": secret.isoformat()}
    later = {"client_secret_expires_at": (secret + timedelta(days=90)).isoformat()}
    configured = settings.JWT_UPSTREAM
    settings.JWT_UPSTREAM = {
        "crm": {**configured["crm"], "OPTIONS": options},
        "erp": {**configured["erp"], "OPTIONS": later},
    }
    for account in ("default", "ann"):
        put("erp", account, refresh_expires_at=login)
        outbox.warn("erp", account, login if account == "ann" else login - timedelta(days=1), host_now(), "default")
    lines = status()[0].splitlines()[-2:]
    assert lines[0].startswith(f"The client secret of upstream crm expires {secret} 00:00:00 UTC (")
    assert lines[1] == (
        f"The login of erp/ann ends {login:%Y-%m-%d %H:%M:%S} UTC (5 d), and no refresh puts that off: "
        "manage.py upstream_login erp --account ann"
    )
    expiries = json.loads(status("--json")[0])["expiries"]
    assert [(each["upstream"], each["account"]) for each in expiries] == [("crm", None), ("erp", "ann")]
    expiries = json.loads(status("crm", "--json")[0])["expiries"]
    assert [each["upstream"] for each in expiries] == ["crm"]
    assert [each["account"] for each in json.loads(status("erp", "--json")[0])["expiries"]] == ["ann"]


def test_refreshing_delivers(transactional_db: None) -> None:
    """A round of upstream_refresh delivers what others have left."""
    transitions.mark(logged_in("crm"), "locked", "default", EventDetails("Account is disabled."))
    assert Notice.objects.get().kind == "opened"
    call_command("upstream_refresh", stdout=StringIO())
    assert [alert.subject for alert in told] == ["crm/default is locked"]
