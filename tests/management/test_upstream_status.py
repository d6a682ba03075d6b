"""manage.py upstream_status: the table, the JSON, the exit code."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.utils import timezone

from jwt_upstream.fields import Encrypted
from jwt_upstream.management.commands import upstream_status
from jwt_upstream.models import Credential, Incident
from jwt_upstream.tokens import fingerprint
from tests.support.commands import cells, status
from tests.support.rows import put


@pytest.fixture(autouse=True)
def wide(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of the width that tests don't depend on."""
    monkeypatch.setenv("COLUMNS", "120")


def test_all_is_well() -> None:
    """With every upstream logged in the exit code is 0, and the table says how long the tokens live."""
    put("crm", since=timezone.now() - timedelta(days=3))
    put("erp", "ann", access_expires_at=None)
    put("erp", "ben", access_expires_at=timezone.now())
    out, error = status()
    assert error == ""
    assert out.splitlines()[0].split() == ["UPSTREAM", "ACCOUNT", "STATE", "SINCE", "EXPIRES", "IN", "REFRESH"]
    crm, ann, ben = cells(out)
    assert crm[:3] == ["crm", "default", "active"]
    assert crm[4:] == ["59 min", "ok"]
    assert ann[4] == "unknown expiry"
    assert ben[4] == "expired"


def test_not_logged_in() -> None:
    """A configured upstream without any credential is listed, with what to do, and needs a human."""
    put("crm")
    out, error = status()
    assert cells(out)[1] == ["erp", "-", "not logged in", "-", "-", "-"]
    assert "\n    log in: manage.py upstream_login erp\n" in out
    assert error == "1 of 2 needs a human."


def test_logs_in_by_itself(settings: Any) -> None:
    """Where LOGIN is configured and nothing stored nobody has to do anything."""
    put("crm")
    login = {"username": "bob", "password": "secret"}
    settings.JWT_UPSTREAM = {**settings.JWT_UPSTREAM, "erp": {**settings.JWT_UPSTREAM["erp"], "LOGIN": login}}
    out, error = status()
    assert cells(out)[1] == ["erp", "-", "not logged in", "-", "-", "-"]
    assert "\n    logs in by itself at the first call\n" in out
    assert "upstream_login" not in out
    assert error == ""
    erp = json.loads(status("--json")[0])["credentials"][1]
    assert (erp["needs_human"], erp["remedy"], erp["reason"]) == (False, "", "logs in by itself at the first call")


@pytest.mark.parametrize("state", ["rejected", "locked", "unreadable"])
def test_needs_a_human(state: str) -> None:
    """A credential that only a human can mend is told of with the reason and the remedy."""
    put("crm", "tenant-42", state=state, reason="the upstream said so")
    out, error = status("crm")
    assert cells(out)[0][2] == state
    assert "\n    the upstream said so\n" in out
    assert "manage.py upstream_login crm --account tenant-42" in out
    assert ("manage.py upstream_try_again crm --account tenant-42" in out) == (state == "locked")
    assert error == "1 of 1 needs a human."


def test_logged_out() -> None:
    """A credential that was logged out has no token left, and the exit code says so as well."""
    put("crm", state="logged_out", reason="logged out", access_token="", refresh_token="")
    put("erp", state="rejected")
    out, error = status()
    assert cells(out)[0][2:] == ["logged out", cells(out)[0][3], "-", "-"]
    assert "    logged out" not in out
    assert error == "2 of 2 need a human."


def test_lost_key(settings: Any) -> None:
    """A token that no key opens counts as unreadable although nobody has called yet; the row is left alone."""
    put("crm")
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    out, error = status("crm")
    assert cells(out)[0][2] == "unreadable"
    assert "no configured key decrypts the stored tokens" in out
    assert error == "1 of 1 needs a human."
    assert Credential.objects.get().state == "active"


def test_lost_key_of_a_rejected_credential(settings: Any) -> None:
    """A rejected credential stays rejected, key or no key: a login mends both."""
    put("crm", state="rejected")
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    assert cells(status("crm")[0])[0][2] == "rejected"


def test_refreshing_fails() -> None:
    """Failing refreshes are told of with since when, why and when the next attempt is; no human is needed."""
    now = timezone.now()
    failing: dict[str, Any] = {"failures": 3, "failing_since": now, "failure": "HTTP 503"}
    put("crm", **failing, next_attempt_at=now + timedelta(minutes=10))
    put("erp", **failing, next_attempt_at=now)
    out, error = status()
    assert [row[-1] for row in cells(out)] == ["failing", "failing"]
    assert f"    failing since {now:%Y-%m-%d %H:%M:%S} UTC: HTTP 503; next attempt in 9 min\n" in out
    assert f"    failing since {now:%Y-%m-%d %H:%M:%S} UTC: HTTP 503; next attempt with the next call\n" in out
    assert error == ""


def test_can_not_be_renewed(settings: Any) -> None:
    """A credential without a refresh token is well for now, and it is told that it will need somebody to log in."""
    put("crm", "ann", refresh_token=Encrypted.seal(""))
    put("erp", refresh_token=Encrypted.seal(""))
    out, error = status()
    ann, erp = cells(out)
    assert (ann[2], ann[4:], erp[4:]) == ("active", ["59 min", "none"], ["59 min", "none"])
    flat = " ".join(out.split())
    assert (
        "can't be renewed: there is no refresh token, and no LOGIN in settings for this account; once the access "
        "token has expired, log in: manage.py upstream_login crm --account ann"
    ) in flat
    assert error == ""
    found = json.loads(status("--json")[0])["credentials"]
    assert [each["can_be_renewed"] for each in found] == [False, False]
    assert found[1]["remedy"] == "log in: manage.py upstream_login erp"
    settings_of_erp = {**settings.JWT_UPSTREAM["erp"], "LOGIN": {"username": "bob", "password": "secret"}}
    settings.JWT_UPSTREAM = {**settings.JWT_UPSTREAM, "erp": settings_of_erp}
    assert [row[-1] for row in cells(status()[0])] == ["none", "ok"]


def test_renewed_without_a_refresh_token(settings: Any) -> None:
    """Client credentials need no refresh token; what is rejected or not configured is told of as that only."""
    options = {"grant_type": "client_credentials", "client_id": "us", "client_secret": "secret"}
    crm = {
        "BACKEND": "jwt_upstream.backends.OAuth2Backend",
        "BASE_URL": "https://crm.example.com/",
        "OPTIONS": options,
    }
    settings.JWT_UPSTREAM = {**settings.JWT_UPSTREAM, "crm": crm}
    put("crm", refresh_token=Encrypted.seal(""))
    put("erp", state="rejected", refresh_token=Encrypted.seal(""))
    assert "can't be renewed" not in status()[0]
    settings.JWT_UPSTREAM = {}
    assert "can't be renewed" not in status()[0]


def test_misconfigured() -> None:
    """Where settings are wrong, the command that shows what is sent is told."""
    put("crm", failures=1, failing_since=timezone.now(), failure="HTTP 404", failure_verdict="config")
    put("erp", failures=1, failing_since=timezone.now(), failure="HTTP 503", failure_verdict="transient")
    assert status()[0].count("    to see what is sent: manage.py upstream_probe ") == 1


def test_incidents() -> None:
    """Upstreams in trouble are told of below the table."""
    put("crm")
    incident = Incident.objects.create(upstream="crm", kind="misconfigured", reason="invalid_client")
    Incident.objects.create(upstream="erp", kind="down", reason="HTTP 503")
    out, error = status("crm")
    since = f"{incident.since:%Y-%m-%d %H:%M:%S} UTC"
    assert out.splitlines()[-1] == f"Upstream crm has been misconfigured since {since}: invalid_client"
    assert error == ""
    assert "Upstream erp has been down since" in status()[0]


def test_upstream_that_is_gone(settings: Any) -> None:
    """A credential of an upstream that is no longer configured is told of, and is no alarm."""
    settings.JWT_UPSTREAM = {"crm": settings.JWT_UPSTREAM["crm"]}
    put("crm")
    put("crm", "ann")
    settings.JWT_UPSTREAM = {}
    out, error = status()
    assert out.count("    this upstream is not in JWT_UPSTREAM\n") == 2
    assert error == ""


def test_unknown_alias() -> None:
    """An alias that neither settings nor database know is an error."""
    text = "There is no upstream {!r} in JWT_UPSTREAM, and no credential for it"
    assert status("nope") == ("", f"{text.format('nope')}.")
    assert status("crmm") == ("", f"{text.format('crmm')}; did you mean 'crm'?")


def test_json() -> None:
    """--json prints every detail for programs, and the exit code is the same."""
    put("crm", state="locked", reason="Account is disabled.")
    Incident.objects.create(upstream="crm", kind="down", reason="HTTP 503")
    out, error = status("--json")
    answer = json.loads(out)
    crm, erp = answer["credentials"]
    assert (crm["upstream"], crm["account"], crm["state"], crm["needs_human"]) == ("crm", "default", "locked", True)
    assert crm["reason"] == "Account is disabled."
    assert crm["access_fingerprint"] == fingerprint("test-access")
    assert (erp["account"], erp["state"], erp["since"]) == (None, "not logged in", None)
    assert [incident["kind"] for incident in answer["incidents"]] == ["down"]
    assert error == "2 of 2 need a human."


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_shows_no_secret(arguments: tuple[str, ...]) -> None:
    """Neither the table nor the JSON shows a token or its ciphertext."""
    put("crm")
    out, _ = status(*arguments)
    row = Credential.objects.get()
    for secret in ("test-access", "test-refresh", row.access_token.ciphertext, row.refresh_token.ciphertext):
        assert secret not in out


@pytest.mark.parametrize("columns", [80, 100])
def test_fits_in_a_terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    """Long names are shortened and long reasons wrapped, so that lines fit, but for commands to be copied."""
    monkeypatch.setenv("COLUMNS", str(columns))
    put("crm", "an-account-with-a-very-long-name@customer.example.com", state="locked", reason="word " * 99)
    put("erp", "ann")
    out, _ = status()
    table = [line for line in out.splitlines() if "manage.py" not in line]
    assert max(map(len, table)) <= columns
    assert "upstream_login crm --account an-account-with-a-very-long-name@customer.example.com\n" in out
    assert "…" in out


def test_colours() -> None:
    """In a terminal, what needs a human is seen at a glance."""
    put("crm", state="locked")
    put("erp")
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("upstream_status", stdout=out, force_color=True)
    lines = out.getvalue().splitlines()
    assert ["\x1b[" in line for line in lines if line.startswith(("crm", "erp", "\x1b"))] == [True, False]


def test_command_that_is_used_again() -> None:
    """What one run has counted is not counted by the next."""
    command = upstream_status.Command()
    put("crm")
    put("erp", state="locked")
    for _ in range(2):
        with pytest.raises(CommandError, match="1 of 2 needs a human"):
            call_command(command, stdout=StringIO())


def test_numbers_that_make_no_sense() -> None:
    """A limit below 0 is refused, and a grace that is no span of time."""
    assert status("--limit=-1") == ("", "--limit must be 0 or more.")
    for grace in ("-1", "nan", "inf", "1e300"):
        assert status("--check", "--grace", grace)[1].endswith("--grace: must be 0 to 1000000000 seconds")


def test_settings_that_nothing_works_with(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings in the way of all of it are told in a line, as the checks tell them; no mistake of ours is hidden."""
    put("crm")
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = ["s3cr"]
    assert status()[1].startswith("JWT_UPSTREAM_ENCRYPTION_KEYS: key 1 is not a valid Fernet key")
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = []
    monkeypatch.setattr(upstream_status, "Report", None)  # a mistake of ours, of which there is none to be had
    with pytest.raises(TypeError):
        status()
