"""What is due, in which order, and leases on several at once."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from jwt_upstream.models import Credential
from jwt_upstream.store import due, incidents

pytestmark = pytest.mark.django_db

USING = "default"
State = Credential.State


def put(account: str, upstream: str = "crm", **columns: Any) -> Credential:
    """Store an active credential that is due, unless the columns say otherwise."""
    columns = {"access_expires_at": timezone.now(), "state": State.ACTIVE, **columns}
    return Credential.objects.create(upstream=upstream, account=account, **columns)


def well() -> Any:
    now = timezone.now()
    return due.well("crm", now, now + timedelta(minutes=1), USING)


def take(number: int = 9, lease: str = "ours", is_wanted: Any = lambda row: True) -> tuple[list[str], list[str]]:
    """Return the accounts that were looked at, and those whose leases were taken."""
    seen, leased = due.take_leases(well(), number, lease, USING, is_wanted)
    return [row.account for row in seen], [row.account for row in leased]


def leases() -> dict[str, str]:
    return dict(Credential.objects.values_list("account", "lease"))


# -- what is due


def test_leases_that_are_held() -> None:
    """Counted are the leases that have not lapsed, and no more of them than are of interest."""
    now = timezone.now()
    for number in range(4):
        put(f"held-{number}", lease="another's", lease_expires_at=now + timedelta(minutes=1))
    put("lapsed", lease="another's", lease_expires_at=now - timedelta(seconds=1))
    put("free")
    assert [due.count_leased(well(), now, most) for most in (9, 3)] == [4, 3]


def test_order() -> None:
    """The nearest expiry comes first; what failed before is another list, without those in backoff."""
    now = timezone.now()
    put("later", access_expires_at=now + timedelta(seconds=30))
    put("soon")
    put("failed", failures=1, next_attempt_at=now - timedelta(seconds=1))
    put("failed-long-ago", failures=9, next_attempt_at=now - timedelta(seconds=9))
    put("waits", failures=1, next_attempt_at=now + timedelta(hours=1))
    put("fresh", access_expires_at=now + timedelta(hours=1))
    put("locked", state=State.LOCKED)
    put("soon", "erp")
    failed = due.failed("crm", now, now + timedelta(minutes=1), USING)
    assert [row.account for row in well()] == ["soon", "later"]
    assert [row.account for row in failed] == ["failed-long-ago", "failed"]


def test_idle_ones() -> None:
    """Those that have to be kept alive are found whatever their access token's expiry is, but not in backoff."""
    now = timezone.now()
    put("lapses", access_expires_at=None, keep_alive_at=now)
    put("lapses-first", access_expires_at=now + timedelta(days=99), keep_alive_at=now - timedelta(days=1))
    put("waits", keep_alive_at=now, failures=1, next_attempt_at=now + timedelta(hours=1))
    put("fresh", access_expires_at=None, keep_alive_at=now + timedelta(days=1))
    put("locked", keep_alive_at=now, state=State.LOCKED)
    assert [row.account for row in due.idle("crm", now, USING)] == ["lapses-first", "lapses"]


def test_keys_with_leases() -> None:
    """A list of keys says which rows somebody has a lease on."""
    first, second = put("a"), put("b", lease="another's")
    assert sorted(due.keys(well(), 9, lambda row: True)) == [(first.pk, ""), (second.pk, "another's")]
    assert len(due.keys(well(), 1, lambda row: True)) == 1


# -- leases


def test_leases_of_the_first_ones() -> None:
    """At most so many leases are taken, of the first that nobody else holds, and last as long as any other."""
    now = timezone.now()
    for number, account in enumerate("abcd"):
        put(account, access_expires_at=now + timedelta(seconds=number), lease="another's" if account == "b" else "")
    assert take(2) == (["a", "c"], ["a", "c"])
    assert leases() == {"a": "ours", "b": "another's", "c": "ours", "d": ""}
    left = Credential.objects.get(account="a").lease_expires_at - timezone.now()
    assert 25 < left.total_seconds() <= 31


def test_unwanted_rows_are_not_leased() -> None:
    """What turns out not to be due is left as it is, and is among what was looked at."""
    put("due")
    put("not-yet")
    assert sorted(take(is_wanted=lambda row: row.account == "due")[0]) == ["due", "not-yet"]
    assert leases() == {"due": "ours", "not-yet": ""}
    assert take(is_wanted=lambda row: False)[1] == []


def test_repetition_with_the_same_lease() -> None:
    """If the commit was not acknowledged, the same leases are found again."""
    put("a")
    assert take()[1] == take()[1] == ["a"]
    assert take(lease="another's")[1] == []


def test_known_incidents() -> None:
    """With the lease it is known whether there is an incident to close: the credential's own or the upstream's."""
    row = put("locked")
    row.reason, row.state = "locked", State.LOCKED
    incidents.need_human(row, USING)
    put("fine")
    put("fine", "erp")

    def known() -> dict[str, bool | None]:
        return {row.account: row.has_incident for row in due.take_leases(well(), 9, "ours", USING, bool)[1]}

    assert known() == {"locked": True, "fine": False}
    failing = put("failing", failures=1, failure="HTTP 503", failure_verdict="transient")
    incidents.note_failure(failing, "", timezone.now(), USING)
    assert known() == {"locked": True, "fine": True}


def test_free_rows() -> None:
    """It can be told whether there are rows on which nobody has a lease."""
    put("a", lease="another's")
    assert not due.is_any_free(well())
    put("b")
    assert due.is_any_free(well())


def test_leases_that_are_given_back() -> None:
    """Only leases of that name are given back."""
    rows = [put("a", lease="ours"), put("b", lease="another's by now")]
    due.release_leases(rows, "ours", USING)
    assert leases() == {"a": "", "b": "another's by now"}


@pytest.mark.django_db(transaction=True)
def test_workers_that_look_at_the_same_moment() -> None:
    """While one worker looks at rows, another passes them over where the database can, and waits for nobody."""
    put("a")
    put("b", access_expires_at=timezone.now() + timedelta(seconds=1))
    found: list[Any] = []

    def look() -> None:
        if connection.vendor == "sqlite":  # whose own patience is of five seconds
            connection.cursor().execute("PRAGMA busy_timeout = 50")
        try:
            found.append(take(1)[1])
        except DatabaseError:
            found.append("locked")
        finally:
            connection.close()

    with transaction.atomic():
        assert take(1, "first")[1] == ["a"]
        thread = threading.Thread(target=look)
        thread.start()
        thread.join(30)
    # MariaDB sorts so few rows, and so has locked both.
    may_be: dict[str, list[Any]] = {"sqlite": ["locked"], "postgresql": [["b"]], "mysql": [["b"], []]}
    assert found[0] in may_be[connection.vendor]
    assert take()[1] == ["b"]
