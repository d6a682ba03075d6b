"""Refreshing what is due at one upstream: leases on several, pages, and whatever became of a lease meanwhile."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import ProgrammingError
from django.utils import timezone

from jwt_upstream.backends import get_backend
from jwt_upstream.exceptions import CredentialRejected, CredentialUnreadable
from jwt_upstream.fields import Encrypted
from jwt_upstream.models import Credential, Event, Incident
from jwt_upstream.refresh import DueCredentials, Leased
from jwt_upstream.store import due as rows
from jwt_upstream.store import new_lease
from jwt_upstream.testing import logged_in
from jwt_upstream.tokens import TokenPair
from tests.support.accounts import ACME, SECRETS, shop
from tests.support.upstream import Answer, Upstream

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _answers(upstream: Upstream) -> None:
    upstream.answers["/refresh"] = lambda seen: Answer(200, {"access": "new", "refresh": f"{seen.json()['refresh']}+"})


def put(account: str, ends_in: float = -5, **columns: Any) -> Credential:
    """Store a credential of an hour's lifetime that ends in so many seconds."""
    row, now = logged_in("up", account, refresh=account), timezone.now()
    moments = {"access_expires_at": now + timedelta(seconds=ends_in), "obtained_at": now - timedelta(hours=1)}
    Credential.objects.filter(pk=row.pk).update(**moments | columns)
    return row


def due(ahead: float = 60) -> DueCredentials:
    return DueCredentials(get_backend("up"), ahead, "default")


def leased(found: DueCredentials, number: int = 1) -> list[str]:
    return [each.row.account for each in found.lease(number)]


def spent(upstream: Upstream) -> list[str]:
    return [seen.json()["refresh"] for seen in upstream.calls("/refresh")]


def refresh_all(found: DueCredentials, number: int = 3) -> None:
    while some := found.lease(number):
        for each in some:
            found.refresh(each)


def gone() -> str:
    """Return a lease whose holder, a process of this host, does not exist any more."""
    rest, _, start = new_lease().rpartition(":")
    return f"{rest}:{int(start) - 1}"


def test_pages(upstream: Upstream) -> None:
    """All are found, a page after the other, each once."""
    for number in range(7):
        put(f"a{number}", -10 + number)
    refresh_all(due())
    assert spent(upstream) == [f"a{number}" for number in range(7)]
    assert Credential.objects.get(account="a0").pair == TokenPair("new", "a0+")
    assert not Credential.objects.exclude(lease="").exists()


def test_pages_of_others(upstream: Upstream) -> None:
    """Rows of one moment that are not to be refreshed yet don't keep those behind them from being found."""
    moment, suppressed = timezone.now() + timedelta(seconds=30), timezone.now() + timedelta(seconds=50)
    for number in range(4):
        put(f"not-{number}", access_expires_at=moment, refresh_suppressed_until=suppressed)
    put("due", 40)
    found = due()
    assert leased(found, 2) == ["due"]
    assert leased(found, 2) == []


def test_failed_before_and_suppressed_since(upstream: Upstream) -> None:
    """What turns out not to be due is passed over in the list of those that failed before too."""
    now = timezone.now()
    put("not-yet", 30, failures=1, next_attempt_at=now, refresh_suppressed_until=now + timedelta(seconds=20))
    assert due().lease(1) == []


def test_giving_back(upstream: Upstream) -> None:
    """Only what was leased is given back: a row that goes the ordinary way has no lease of ours."""
    put("up")
    found = due()
    (one,) = found.lease(1)
    found.release([Leased(one.row)])
    assert Credential.objects.get().lease == one.row.lease
    found.release([one])
    assert Credential.objects.get().lease == ""


def test_rows_that_another_worker_has_just_locked(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that finds nothing because another one looks at all rows just now looks again a little later."""
    put("up")
    found, take = due(), rows.take_leases
    taken: list[Any] = [([], [])]
    monkeypatch.setattr(rows, "take_leases", lambda *args: taken.pop() if taken else take(*args))
    assert leased(found) == ["up"]


def test_missing_column(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong with the database for good is raised."""

    def fail(*_: Any) -> Any:
        raise ProgrammingError("column does not exist")

    monkeypatch.setattr(rows, "take_leases", fail)
    with pytest.raises(ProgrammingError):
        due().lease(1)


def test_lease_that_is_too_old(upstream: Upstream) -> None:
    """Nothing is sent under a lease that could lapse before the answer is there; it is given back."""
    put("up")
    found = due()
    row, at = found.lease(1)[0]
    assert at is not None
    found.refresh(Leased(row, at - 25))
    assert spent(upstream) == []
    assert Credential.objects.get().lease == ""


def test_due_without_a_refresh_token(upstream: Upstream) -> None:
    """Without a refresh token nothing is done before the access token expires."""
    put("up", 5, refresh_token="")
    assert due().lease(1) == []


def test_unreadable_tokens(upstream: Upstream) -> None:
    """A row that no key of this process opens is left to others, and its lease given back."""
    put("up", access_token=Encrypted("gAAAAA-nonsense"))
    found = due()
    with pytest.raises(CredentialUnreadable):
        found.refresh(found.lease(1)[0])
    assert Credential.objects.get().lease == ""


def test_lease_of_a_worker_that_died(upstream: Upstream) -> None:
    """The lease of a process that is gone is taken over, and the interruption recorded; a live one's is left alone."""
    put("died", lease=gone(), lease_expires_at=timezone.now() + timedelta(seconds=20))
    put("lives", lease=new_lease(), lease_expires_at=timezone.now() + timedelta(seconds=20))
    past = timezone.now() - timedelta(seconds=9)
    put("failed", failures=1, next_attempt_at=past, lease=gone(), lease_expires_at=timezone.now())
    refresh_all(due())
    assert spent(upstream) == ["died", "failed"]
    assert Event.objects.filter(kind="interrupted").count() == 2


def test_refusal(upstream: Upstream) -> None:
    """What the upstream refuses is recorded as after any other refresh."""
    upstream.answers["/refresh"] = Answer(401, {"error": "invalid_grant"})
    put("up")
    found = due()
    with pytest.raises(CredentialRejected):
        found.refresh(found.lease(1)[0])
    row = Credential.objects.get()
    assert (row.state, row.lease) == ("rejected", "")
    assert Incident.objects.get().kind == "rejected"


def test_renamed_meanwhile(upstream: Upstream) -> None:
    """A change of the row that is no new pair doesn't keep an answer from being stored, and the history knows it."""
    put("old")
    found = due()
    (one,) = found.lease(1)
    Credential.objects.update(account="new-name")
    found.refresh(one)
    assert Credential.objects.get().pair.access == "new"
    assert Event.objects.filter(kind="refreshed").get().account == "new-name"


def test_locked_meanwhile(upstream: Upstream) -> None:
    """If an answer to a call has locked the account, new tokens end that, and close its incident."""
    row = put("up")
    found = due()
    (one,) = found.lease(1)
    assert one.row.has_incident is False
    Credential.objects.update(state="locked", reason="locked")
    Incident.objects.create(upstream="up", account="up", kind="locked", credential=row)
    found.refresh(one)
    assert Credential.objects.get().state == "active"
    assert Incident.objects.get().closed_at is not None


def test_logged_in_meanwhile(upstream: Upstream) -> None:
    """A pair that somebody else has stored meanwhile stays."""
    put("up")
    found = due()
    (one,) = found.lease(1)
    logged_in("up", "up", access="by-hand")
    found.refresh(one)
    assert Credential.objects.get().pair.access == "by-hand"


def test_success_closes_an_incident(upstream: Upstream) -> None:
    """An incident that was open when the lease was taken is closed by the success."""
    past = timezone.now() - timedelta(seconds=9)
    put("up", failures=2, failing_since=past, next_attempt_at=past, failure="HTTP 503", failure_verdict="transient")
    Incident.objects.create(upstream="up", account="", kind="down")
    refresh_all(due())
    assert Incident.objects.get().closed_at is not None


# -- keeping alive


def test_idle_credential_is_kept_alive(upstream: Upstream, settings: Any) -> None:
    """A pair whose access token's expiry is unknown is renewed after ``keep_alive`` days, used or not."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["keep_alive"] = 3
    logged_in("up", "idle", refresh="idle", expires_in=None)
    refresh_all(due())
    assert spent(upstream) == []
    Credential.objects.update(keep_alive_at=Credential.objects.get().keep_alive_at - timedelta(days=3))
    refresh_all(due())
    assert spent(upstream) == ["idle"]
    days = (Credential.objects.get().keep_alive_at - timezone.now()).total_seconds() / 86400
    assert 2.9 < days <= 3.01


def test_idle_credential_that_fails(upstream: Upstream) -> None:
    """A failure has its backoff here too."""
    upstream.answers["/refresh"] = Answer(503)
    logged_in("up", "idle", refresh="idle", expires_in=None)
    Credential.objects.update(keep_alive_at=timezone.now())
    for _ in range(2):
        found = due()
        for each in found.lease(1):
            with pytest.raises(Exception, match="could not be refreshed"):
                found.refresh(each)
    assert spent(upstream) == ["idle"]


# -- automatic login


def test_login_by_itself(upstream: Upstream, settings: Any) -> None:
    """Where LOGIN is configured and nothing is stored, the background logs in; not again after a logout."""
    settings.JWT_UPSTREAM["up"]["LOGIN"] = {"username": upstream.user, "password": upstream.password}
    refresh_all(due())
    assert Credential.objects.get().pair.access == "access-1"
    Credential.objects.update(state="logged_out", access_token=Encrypted(""), refresh_token=Encrypted(""))
    refresh_all(due())
    assert len(upstream.calls("/login")) == 1


def test_login_by_itself_that_fails(upstream: Upstream, settings: Any) -> None:
    """A login that fails for now is tried again after its backoff."""
    settings.JWT_UPSTREAM["up"]["LOGIN"] = {"username": upstream.user, "password": upstream.password}
    upstream.answers["/login"] = Answer(503)
    for _ in range(2):
        found = due()
        for each in found.lease(1):
            with pytest.raises(Exception, match="could not be refreshed"):
                found.refresh(each)
    assert len(upstream.calls("/login")) == 1


def test_hosts_of_accounts(settings: Any) -> None:
    """Accounts are refreshed at hosts of their own, and one whose parameters are not allowed at none."""
    settings.JWT_UPSTREAM = shop()
    found = DueCredentials(get_backend("shop"), 60, "default")
    named = [
        Credential(upstream="shop", account=name, parameters={**ACME, "subdomain": name}) for name in ("a", "b.c")
    ]
    for row in named:
        row.secrets = row.seal("secrets", json.dumps(SECRETS))
    assert [found.host(Leased(row)) for row in named] == ["a.shop.example.com", ""]
