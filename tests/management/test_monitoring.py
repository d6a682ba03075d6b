"""manage.py upstream_status --check: one line and an exit code for monitoring, right for any number of credentials."""

from __future__ import annotations

import io
import re
from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.utils import timezone

from jwt_upstream.models import Credential, Incident
from jwt_upstream.store import queries
from tests.support.commands import SECRETS
from tests.support.rows import put

FAILING: dict[str, Any] = {"failures": 3, "failure": "HTTP 503"}


@pytest.fixture(autouse=True)
def configured(db: None, settings: Any) -> None:
    """Two upstreams."""
    settings.JWT_UPSTREAM = {name: {"BASE_URL": f"https://{name}.example.com/"} for name in ("crm", "erp")}


def check(*arguments: str) -> tuple[int, str]:
    """Run the command as a monitoring system does; return its exit code and the text of its line, without figures."""
    code, line = checked(*arguments)
    return code, line.partition(" | ")[0]


def checked(*arguments: str) -> tuple[int, str]:
    """Return the exit code and the whole line."""
    out = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("upstream_status", "--check", *arguments, stdout=out)
    (line,) = out.getvalue().splitlines()
    assert not any(secret in line for secret in SECRETS)
    assert isinstance(ended.value.code, int)
    return ended.value.code, line


def put_many(number: int, **columns: Any) -> None:
    """Store many credentials of crm, which are alike and have no tokens."""
    rows = (Credential(upstream="crm", account=f"a{at:03}", **{"state": "active", **columns}) for at in range(number))
    Credential.objects.bulk_create(rows)


def test_fine() -> None:
    """With all well the line says how many there are, with figures for a graph."""
    put("crm")
    put("crm", "ann")
    put("erp")
    line = "JWT_UPSTREAM OK - 3 credentials of 2 upstreams | credentials=3 need_human=0 failing=0"
    assert checked() == (0, line)


@pytest.mark.parametrize("state", ["rejected", "locked", "unreadable", "logged_out"])
def test_needs_a_human(state: str) -> None:
    """A credential that needs a human is a warning, by name."""
    put("crm", "ann", state=state)
    put("erp")
    name = f"crm/ann {state.replace('_', ' ')}"
    assert check() == (1, f"JWT_UPSTREAM WARNING - 1 needs a human ({name})")
    assert check("erp")[0] == 0


def test_never_logged_in(settings: Any) -> None:
    """An upstream that was never logged in to needs a human, unless it logs in by itself."""
    put("crm")
    assert check() == (1, "JWT_UPSTREAM WARNING - 1 needs a human (erp not logged in)")
    settings.JWT_UPSTREAM["erp"]["LOGIN"] = {"username": "bob", "password": "s3cr"}
    assert check() == (0, "JWT_UPSTREAM OK - 1 credential of 1 upstream")
    settings.JWT_UPSTREAM["erp"]["OPTIONS"] = {"nonsense": 1}
    assert check()[1].endswith("; 1 needs a human (erp not logged in)")


def test_degraded() -> None:
    """A credential whose refresh fails is critical: nobody has to act, but calls may fail soon."""
    since = timezone.now()
    put("crm", "ann", failing_since=since, **FAILING)
    put("erp")
    told = f"1 can't be refreshed (crm/ann since {since:%Y-%m-%d %H:%M:%S} UTC)"
    assert check() == (2, f"JWT_UPSTREAM CRITICAL - {told}")


@pytest.mark.parametrize("kind", ["down", "misconfigured"])
def test_upstream_in_trouble(kind: str) -> None:
    """An upstream that is down or misconfigured is critical; if a human is needed elsewhere the line says both."""
    put("crm")
    put("erp", state="locked")
    incident = Incident.objects.create(upstream="crm", kind=kind, reason="HTTP 503")
    code, text = check()
    assert code == 2
    assert text == (
        f"JWT_UPSTREAM CRITICAL - crm {kind} since {incident.since:%Y-%m-%d %H:%M:%S} UTC: HTTP 503; "
        "1 needs a human (erp/default locked)"
    )
    Incident.objects.update(is_open=None, closed_at=timezone.now())
    assert check()[0] == 1


def test_wrong_settings(settings: Any) -> None:
    """Settings that no call can work with are critical, although nothing has been sent; the others are told of."""
    put("crm")
    put("erp", state="locked")
    settings.JWT_UPSTREAM["crm"]["OPTIONS"] = {"nonsense": 1}
    code, text = check()
    assert code == 2
    assert "JWT_UPSTREAM['crm']: unknown option 'nonsense'" in text
    assert "1 needs a human (erp/default locked)" in text
    settings.JWT_UPSTREAM = []
    assert check() == (2, "JWT_UPSTREAM CRITICAL - JWT_UPSTREAM must be a dict")
    settings.JWT_UPSTREAM = {5: {}, "crm": {"BASE_URL": "https://crm.example.com/"}}
    code, text = check()
    assert (code, text.startswith("JWT_UPSTREAM CRITICAL - JWT_UPSTREAM[5]: the alias must be 1 to")) == (2, True)
    del settings.JWT_UPSTREAM[5]
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = ["short"]
    assert check()[1].startswith("JWT_UPSTREAM CRITICAL - JWT_UPSTREAM_ENCRYPTION_KEYS: key 1 is not a valid Fernet")


def test_grace() -> None:
    """Trouble that is younger than the grace is no alarm; older one is."""
    now = timezone.now()
    put("crm", failing_since=now - timedelta(seconds=200), **FAILING)
    put("erp", state="locked", since=now - timedelta(seconds=200))
    Incident.objects.create(upstream="crm", kind="down", reason="HTTP 503", since=now - timedelta(seconds=200))
    assert check("--grace", "300")[0] == 0
    code, text = check("--grace", "100")
    assert (code, text.count(";")) == (2, 2)


def test_many() -> None:
    """Numbers are right beyond a hundred credentials, and a few are named."""
    put("erp")
    put_many(230)
    Credential.objects.filter(account__lt="a110", upstream="crm").update(state="locked")
    failing = Credential.objects.filter(account__gte="a120", upstream="crm")
    failing.update(failing_since=timezone.now(), **FAILING)
    code, line = checked()
    assert code == 2
    assert "110 can't be refreshed (crm/a120 since" in line
    assert "110 need a human (crm/a000 locked, crm/a001 locked, crm/a002 locked, …)" in line
    assert line.endswith(" | credentials=231 need_human=110 failing=110")


def test_lost_key(settings: Any) -> None:
    """A lost key is found before anybody has called; of many credentials by a sample, which stands for any number."""
    put("erp")
    for number in range(12):
        put("crm", f"b{number}")
    keys, token = settings.JWT_UPSTREAM_ENCRYPTION_KEYS, Credential.objects.earliest("pk").access_token
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = lost = [Fernet.generate_key().decode()]
    assert check()[1].startswith("JWT_UPSTREAM WARNING - 13 need a human (of which no key decrypts")
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = keys
    put_many(100, access_token=token)
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = lost
    assert re.search(r"- \d+\+ need a human", check()[1])


def test_name_that_is_no_figure() -> None:
    """A name can't be taken for the figures of the line."""
    put("crm", "a | b=1", state="locked")
    assert "crm/a ¦ b=1 locked" in check("crm")[1]


def test_unknown_alias() -> None:
    """What can't be told has a code of its own."""
    text = "JWT_UPSTREAM UNKNOWN - there is no upstream {!r} in JWT_UPSTREAM, and no credential for it"
    assert check("nope") == (3, text.format("nope"))
    assert check("crmm") == (3, f"{text.format('crmm')}; did you mean 'crm'?")


def test_database_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that can't be asked can't tell, and its words are not repeated."""

    def away(_: object) -> Any:
        raise OperationalError("s3cr")

    monkeypatch.setattr(queries, "upstreams", away)
    assert check() == (3, "JWT_UPSTREAM UNKNOWN - the database failed (OperationalError)")


def test_without_check(settings: Any) -> None:
    """Without --check only a human's need counts, and wrong settings are shown below the table."""
    put("crm", failing_since=timezone.now(), **FAILING)
    put("erp")
    settings.JWT_UPSTREAM["erp"]["OPTIONS"] = {"nonsense": 1}
    out = io.StringIO()
    call_command("upstream_status", stdout=out)
    assert out.getvalue().splitlines()[-1].startswith("JWT_UPSTREAM['erp']: unknown option 'nonsense'")
    settings.JWT_UPSTREAM = []
    with pytest.raises(CommandError, match="JWT_UPSTREAM must be a dict"):
        call_command("upstream_status", stdout=out)
