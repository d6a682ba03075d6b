"""The report of many credentials: totals, those in trouble, and bounded work."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.utils import timezone

from jwt_upstream.fields import Encrypted
from jwt_upstream.management.commands import upstream_status
from jwt_upstream.models import Credential
from jwt_upstream.store import queries
from jwt_upstream.testing import logged_in
from tests.support.commands import cells, status
from tests.support.rows import put


@pytest.fixture(autouse=True)
def wide(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of the width that tests don't depend on."""
    monkeypatch.setenv("COLUMNS", "120")


def put_many(upstream: str, number: int, **columns: Any) -> None:
    """Store many credentials, which are alike."""
    row = logged_in(upstream, "tenant-0")
    columns = {"state": "active", "access_token": row.access_token, "refresh_token": row.refresh_token, **columns}
    rows = (Credential(upstream=upstream, account=f"tenant-{at}", **columns) for at in range(1, number))
    Credential.objects.bulk_create(rows)


def test_many() -> None:
    """Of many credentials it shows how many there are, and those in trouble: first who needs a human."""
    put_many("crm", 200)
    put("crm", "cat", failures=1, failing_since=timezone.now(), failure="HTTP 503")
    put("crm", "dog", state="locked", reason="Account is disabled.")
    put("erp", "eel", state="rejected")
    out, error = status()
    lines = [line.split() for line in out.splitlines() if line[:1].strip()]
    assert lines[0] == ["UPSTREAM", "CREDENTIALS", "ACTIVE", "FAILING", "NEED", "A", "HUMAN"]
    assert lines[1:3] == [["crm", "202", "201", "1", "1"], ["erp", "1", "0", "0", "1"]]
    assert [line[:3] for line in lines[4:]] == [
        ["crm", "dog", "locked"],
        ["erp", "eel", "rejected"],
        ["crm", "cat", "active"],
    ]
    assert error == "2 of 203 need a human."


def test_many_and_well() -> None:
    """Where all is well the sum is all there is to tell."""
    put_many("crm", 5)
    out, error = status("crm", "--limit=4")
    assert len(out.strip().splitlines()) == 2
    assert error == ""


def test_many_in_trouble() -> None:
    """Credentials in trouble are limited in number too; those left out are counted, also for the exit code."""
    put_many("crm", 10, state="locked")
    put("crm", "tenant-0", state="locked")
    out, error = status("crm", "--limit=4")
    assert [row[1] for row in cells(out)[1:-1]] == ["tenant-0", "tenant-1", "tenant-2", "tenant-3"]
    assert out.splitlines()[-1] == "6 more need a human: use --limit to show more, or --all to show every credential."
    assert error == "10 of 10 need a human."


def test_all_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """--all shows every credential, a piece at a time."""
    monkeypatch.setattr(upstream_status, "_CHUNK_ROWS", 3)
    put_many("crm", 10)
    out, error = status("crm", "--all", "--limit=4")
    assert [row[1] for row in cells(out)] == [f"tenant-{number}" for number in range(10)]
    assert error == ""


def test_lost_key_of_more_than_are_read(settings: Any) -> None:
    """Where a sample is read, what no key decrypts in it stands for any number."""
    put_many("crm", 30)
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    assert status("crm", "--limit=4")[1] == "10+ of 30 need a human."
    assert status("crm")[1] == "30 of 30 need a human."


def test_lost_key_of_many(settings: Any) -> None:
    """A lost key is noticed among many credentials as well, by a sample."""
    put_many("crm", 5)
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    out, error = status("crm", "--limit=4")
    assert "no key opens" not in out
    assert "no configured key decrypts the stored tokens" in out
    assert error == "5 of 5 need a human."


def test_many_that_can_not_be_renewed(settings: Any) -> None:
    """If an upstream gives no refresh tokens, a sample of many credentials shows it."""
    put_many("crm", 5, refresh_token=Encrypted.seal(""))
    put("crm", "tenant-0", refresh_token=Encrypted.seal(""))
    out, error = status("crm", "--limit=4")
    assert out.count("can't be renewed") == 5
    assert error == ""


def test_json_of_many() -> None:
    """JSON has the sum, and says whether it has every credential."""
    put_many("crm", 5)
    put("crm", "dog", state="locked")
    short = json.loads(status("crm", "--json", "--limit=4")[0])
    full = json.loads(status("crm", "--json", "--all", "--limit=4")[0])
    assert (short["is_complete"], full["is_complete"]) == (False, True)
    assert [credential["account"] for credential in short["credentials"]] == ["dog"]
    assert len(full["credentials"]) == 6
    tally = {"upstream": "crm", "credentials": 6, "active": 5, "failing": 0, "need_human": 1, "is_exact": True}
    assert short["summary"] == full["summary"] == [tally]


def test_more_than_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a number nobody looks at, counting stops, which is said; --all counts every one."""
    monkeypatch.setattr(queries, "COUNT_LIMIT", 8)
    put_many("crm", 14)
    put("crm", "dog", state="locked")
    out, error = status("crm", "--limit=4")
    assert cells(out)[0] == ["crm", "13+", "12+", "0", "1"]
    assert error == "1 of 13+ needs a human."
    short = json.loads(status("crm", "--json", "--limit=4")[0])["summary"][0]
    full = json.loads(status("crm", "--json", "--all")[0])["summary"][0]
    assert (short["credentials"], short["is_exact"]) == (13, False)
    assert (full["credentials"], full["is_exact"]) == (15, True)


def test_more_in_trouble_than_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the number that is counted, those left out are said to be at least so many."""
    monkeypatch.setattr(queries, "COUNT_LIMIT", 6)
    put_many("crm", 20, state="locked")
    out, error = status("crm", "--limit=3")
    assert out.splitlines()[-1] == "6+ more need a human: use --limit to show more, or --all to show every credential."
    assert error == "9+ of 10+ need a human."  # the other upstream too, where nobody has logged in


def test_exactly_as_many_as_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """One credential fewer than the most that are counted is an exact number."""
    monkeypatch.setattr(queries, "COUNT_LIMIT", 8)
    put_many("crm", 11)
    assert cells(status("crm", "--limit=4")[0])[0] == ["crm", "11", "11", "0", "0"]
