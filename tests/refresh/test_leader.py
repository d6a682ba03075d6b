"""The leader of a flight: whom it waits for, when it takes over, and whom it fails because of the database."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import DatabaseError, OperationalError, connection, connections, transaction
from django.utils import timezone

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import CredentialRejected, RefreshBlocked, RefreshBusy, RefreshUnavailable
from jwt_upstream.models import Credential, Event
from jwt_upstream.store import EventDetails, incidents, new_lease, transitions
from tests.support.rows import kinds_since_login
from tests.support.upstream import Answer, Seen, Upstream


def lease(holder: str, seconds: float) -> None:
    """Have another worker hold the lease for some more seconds."""
    until = timezone.now() + timedelta(seconds=seconds)
    Credential.objects.update(lease=holder, lease_expires_at=until)


def gone() -> str:
    """Return a lease whose holder, a process of this host, does not exist any more."""
    rest, _, start = new_lease().rpartition(":")
    return f"{rest}:{int(start) - 1}"


# -- holders


def test_holder_that_is_gone(client: UpstreamClient, upstream: Upstream) -> None:
    """The lease of a process that is gone is taken over at once, and the interruption is recorded."""
    upstream.expire()
    lease(gone(), 30)
    began = time.monotonic()
    assert client.get("orders/").status_code == 200
    assert time.monotonic() - began < 5
    assert sorted(kinds_since_login()) == ["interrupted", "refreshed"]


def test_holder_that_is_alive(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """The lease of a process that exists is respected, whatever that process is doing."""
    settings.JWT_UPSTREAM_WAIT_SECONDS = 0.5
    upstream.expire()
    lease(new_lease(), 30)
    with pytest.raises(RefreshUnavailable) as caught:
        client.get("orders/")
    assert 25 < (caught.value.retry_after or 0) <= 30
    assert upstream.refreshes == 0


def test_token_that_still_works_while_the_holder_is_gone(client: UpstreamClient, upstream: Upstream) -> None:
    """Nobody waits for a lease whose holder is gone, and a token that is due is refreshed nonetheless."""
    now = timezone.now()
    hour, soon = timedelta(hours=1), timedelta(seconds=20)
    Credential.objects.update(obtained_at=now - hour, access_expires_at=now + soon)
    lease(gone(), 30)
    assert client.get("orders/").status_code == 200
    assert upstream.refreshes == 1


def test_lapsed_lease_is_left_to_its_holder_for_a_moment(client: UpstreamClient, upstream: Upstream) -> None:
    """A holder that was kept from writing for longer than its lease still writes its pair before anybody else asks."""
    upstream.expire()
    row = Credential.objects.get()
    lease("elsewhere", -1)
    row.refresh_from_db()
    pair = upstream.issue()

    def write() -> None:
        time.sleep(0.4)
        transitions.settle_pair(row, _pair(pair), "default", Event.Kind.REFRESHED, EventDetails(by="another host"))
        connections.close_all()

    thread = threading.Thread(target=write)
    thread.start()
    assert client.get("orders/").json()["token"] == pair["access"]
    thread.join()
    assert (upstream.refreshes, upstream.reuses) == (0, 0)


def _pair(issued: dict[str, Any]) -> Any:
    return type(Credential.objects.get().pair)(issued["access"], issued["refresh"])


def test_lapsed_lease_of_a_holder_that_never_writes(client: UpstreamClient, upstream: Upstream) -> None:
    """A lease that has lapsed on another host is taken over after that moment."""
    upstream.expire()
    lease("elsewhere", -1)
    assert client.get("orders/").status_code == 200
    assert sorted(kinds_since_login()) == ["interrupted", "refreshed"]


# -- commits whose acknowledgement was lost


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Have a transition commit, once, and fail as if the connection had been cut before the server said so."""

    def lose(name: str) -> None:
        real, left = getattr(transitions, name), [1]

        def write(*args: Any, **kwargs: Any) -> Any:
            written = real(*args, **kwargs)
            if left:
                left.clear()
                connections["default"].close()
                raise OperationalError("server closed the connection unexpectedly")
            return written

        monkeypatch.setattr(transitions, name, write)

    return lose


@pytest.mark.parametrize("name", ["take_lease", "settle_pair"])
def test_lost_acknowledgement(
    client: UpstreamClient, upstream: Upstream, lost: Callable[[str], None], name: str
) -> None:
    """A lease or a pair that was stored without our being told is ours: nobody waits, and nothing is spent twice."""
    upstream.expire()
    lost(name)
    began = time.monotonic()
    assert client.get("orders/").status_code == 200
    assert time.monotonic() - began < 5
    assert (upstream.refreshes, upstream.reuses, kinds_since_login()) == (1, 0, ["refreshed"])


def test_lost_acknowledgement_of_a_pair_is_announced(
    client: UpstreamClient, upstream: Upstream, lost: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    """What was stored without our being told is announced all the same, once."""
    upstream.expire()
    lost("settle_pair")
    with caplog.at_level("INFO", logger="jwt_upstream"):
        client.get("orders/")
    assert [record.message for record in caplog.records if "refreshed" in record.message] == ["up/default refreshed"]


def test_lost_acknowledgement_of_a_refusal(
    client: UpstreamClient, upstream: Upstream, lost: Callable[[str], None], mailoutbox: list[mail.EmailMessage]
) -> None:
    """A refusal that was recorded without our being told is mailed all the same, once."""
    upstream.expire()
    upstream.refresh = "other"
    lost("settle_refusal")
    with pytest.raises(CredentialRejected):
        client.get("orders/")
    assert kinds_since_login() == ["rejected"]
    assert len(mailoutbox) == 1


def test_lost_acknowledgement_of_a_failure(
    client: UpstreamClient, upstream: Upstream, lost: Callable[[str], None]
) -> None:
    """A failed attempt that was recorded without our being told counts once, and its backoff is kept."""
    upstream.expire()
    upstream.answers["/refresh"] = Answer(503)
    lost("settle_failure")
    with pytest.raises(RefreshUnavailable, match="HTTP 503"):
        client.get("orders/")
    assert (kinds_since_login(), upstream.refreshes, Credential.objects.get().failures) == (["failed"], 1, 1)


# -- the caller's own transaction


@pytest.fixture
def elsewhere(upstream: Upstream) -> Iterator[None]:
    """Another worker holds the lease, and will settle when it can."""
    upstream.expire()
    lease("elsewhere", 30)
    yield
    connections.close_all()


def read_anything() -> None:
    """Read a row, as every transaction does; on SQLite that is a lock on everything."""
    list(Credential.objects.values_list("pk"))


def lock_the_row() -> None:
    """Lock the credential."""
    list(Credential.objects.select_for_update())


def write_the_row() -> None:
    """Write to the credential."""
    Credential.objects.update(username="bob")


@pytest.mark.parametrize("hold", [lock_the_row, write_the_row])
def test_transaction_that_holds_the_row_another_worker_refreshes(
    client: UpstreamClient, elsewhere: None, hold: Callable[[], None]
) -> None:
    """A caller that holds the row which another worker refreshes is told so within a second; the other can settle."""
    with transaction.atomic():
        hold()
        began = time.monotonic()
        with pytest.raises(RefreshBlocked):
            client.get("orders/")
        assert time.monotonic() - began < 3


@pytest.mark.skipif(connection.vendor != "sqlite", reason="other databases lock rows")
def test_transaction_that_has_read_anything_on_sqlite(client: UpstreamClient, elsewhere: None) -> None:
    """On SQLite a transaction that has read any row keeps another worker from settling, and is told so."""
    with transaction.atomic():
        read_anything()
        with pytest.raises(RefreshBlocked):
            client.get("orders/")


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite locks everything")
def test_transaction_that_holds_nothing(client: UpstreamClient, upstream: Upstream, elsewhere: None) -> None:
    """A transaction that keeps nobody from settling waits for the other worker's pair."""
    pair = upstream.issue()

    def settle() -> None:
        time.sleep(0.8)
        row = Credential.objects.get()
        transitions.settle_pair(row, _pair(pair), "default", Event.Kind.REFRESHED, EventDetails())
        connections.close_all()

    thread = threading.Thread(target=settle)
    with transaction.atomic():
        read_anything()
        thread.start()
        assert client.get("orders/").json()["token"] == pair["access"]
    thread.join()


def test_follower_whose_transaction_holds_the_row(client: UpstreamClient, upstream: Upstream) -> None:
    """A caller that holds the row and joins a refresh of this process is told so before the upstream answers."""
    asked, go_on = threading.Event(), threading.Event()

    def slow(seen: Seen) -> None:
        asked.set()
        go_on.wait(20)

    upstream.answers["/refresh"] = slow
    client.get("orders/")
    upstream.expire()
    answers: list[int] = []

    def lead() -> None:
        answers.append(UpstreamClient("up").get("orders/").status_code)
        connections.close_all()

    leader = threading.Thread(target=lead)
    leader.start()
    assert asked.wait(20)
    with transaction.atomic():
        lock_the_row() if connection.vendor != "sqlite" else write_the_row()
        began = time.monotonic()
        with pytest.raises(RefreshBlocked):
            client.get("orders/")
        assert time.monotonic() - began < 3
    go_on.set()
    leader.join()
    assert (answers, upstream.refreshes) == ([200], 1)


# -- a database that is away, or that is wrong


def test_database_away_for_a_transaction(
    client: UpstreamClient, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller in a transaction is told that the database is away, not that its own transaction is in the way."""
    upstream.expire()

    def away(*_: Any) -> None:
        raise OperationalError("remaining connection slots are reserved")

    with transaction.atomic(), pytest.raises(RefreshUnavailable, match="the database is away") as caught:
        Credential.objects.count()
        monkeypatch.setattr(transitions, "take_lease", away)
        client.get("orders/")
    assert not isinstance(caught.value, RefreshBlocked)


def test_error_that_is_no_outage_leaves_no_lease(
    client: UpstreamClient, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An outcome that can't be written is told at once, and nobody waits for the lease afterwards."""
    upstream.expire()
    upstream.answers["/refresh"] = Answer(503)

    def fail(*_: Any, **__: Any) -> None:
        connection.cursor().execute("SELECT no_such_column FROM django_migrations")

    monkeypatch.setattr(transitions, "settle_failure", fail)
    with pytest.raises(Exception, match="no_such_column"):
        client.get("orders/")
    assert Credential.objects.get().lease == ""


def test_caller_whose_connection_was_cut(client: UpstreamClient, upstream: Upstream) -> None:
    """A caller whose connection the server has cut meanwhile reads the row on a new one."""
    assert client.get("orders/").status_code == 200
    upstream.expire()
    reads: list[int] = []

    def cut(execute: Any, *arguments: Any) -> Any:
        reads.append(1)
        if len(reads) == 1:
            raise OperationalError("server closed the connection unexpectedly")
        return execute(*arguments)

    with connection.execute_wrapper(cut):
        assert client.get("orders/").status_code == 200
    assert upstream.refreshes == 1


def test_incident_that_can_not_be_recorded(
    client: UpstreamClient, upstream: Upstream, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A pair that is stored goes to its callers, whatever the database does to the record of incidents afterwards."""
    upstream.expire()

    def fail(*_: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(incidents, "find", fail)
    assert client.get("orders/").status_code == 200
    assert "up/default: its incident was not recorded: OperationalError" in caplog.text


def test_database_away_for_longer_than_callers_wait(
    client: UpstreamClient, upstream: Upstream, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Callers wait for a database that is away as for everything else, and are told what it was."""
    settings.JWT_UPSTREAM_WAIT_SECONDS = 0.3
    upstream.expire()

    def away(*_: Any) -> None:
        raise OperationalError("remaining connection slots are reserved")

    monkeypatch.setattr(transitions, "take_lease", away)
    with pytest.raises(RefreshUnavailable, match="the database is away") as caught:
        client.get("orders/")
    assert not isinstance(caught.value, RefreshBusy)
    assert upstream.refreshes == 0


def test_pair_that_the_database_refuses_leaves_no_lease(
    client: UpstreamClient, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pair that the database does not take is an error at once, and nobody waits for the lease afterwards."""
    upstream.expire()

    def fail(*_: Any, **__: Any) -> None:
        connection.cursor().execute("SELECT no_such_column FROM django_migrations")

    monkeypatch.setattr(transitions, "settle_pair", fail)
    with pytest.raises(DatabaseError, match="no_such_column"):
        client.get("orders/")
    assert Credential.objects.get().lease == ""


def test_failure_that_can_not_be_recorded_in_time(
    client: UpstreamClient, upstream: Upstream, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed attempt that the database was away for is made again by the same worker, which still has the lease."""
    settings.JWT_UPSTREAM_SETTLE_SECONDS = 0
    upstream.expire()
    upstream.answers["/refresh"] = Answer(503)
    real, left = transitions.settle_failure, [1]

    def away(*arguments: Any, **more: Any) -> Any:
        if left:
            left.clear()
            raise OperationalError("away")
        return real(*arguments, **more)

    monkeypatch.setattr(transitions, "settle_failure", away)
    with pytest.raises(RefreshUnavailable, match="HTTP 503"):
        client.get("orders/")
    assert (upstream.refreshes, kinds_since_login()) == (2, ["failed"])
