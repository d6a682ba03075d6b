"""The refresh protocol: look, lease, call, settle, and what callers get when it fails."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import connection, transaction
from django.utils import timezone

from jwt_upstream.backends import Backend, Outcome, get_backend
from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import (
    AccountLocked,
    CredentialRejected,
    NotLoggedIn,
    RefreshBusy,
    RefreshUnavailable,
    UpstreamMisconfigured,
)
from jwt_upstream.models import Credential, Event, Incident
from jwt_upstream.refresh import refresh
from jwt_upstream.refresh.leader import Leader
from jwt_upstream.refresh.single_flight import Flight
from jwt_upstream.tokens import TokenPair
from tests.support.clock import pass_time
from tests.support.rows import kinds
from tests.support.upstream import Answer, Seen, Upstream

# -- look


def test_row_has_moved_on(credential: Credential, upstream: Upstream) -> None:
    """A caller that was refused an older token gets the stored pair, and nobody refreshes twice."""
    assert refresh(credential, rejected="older").access == "access-1"
    assert upstream.refreshes == 0


def test_generation_has_moved_on(credential: Credential, upstream: Upstream) -> None:
    """Without a rejected token, an instance older than the row gets the stored pair."""
    assert refresh(credential).access == "access-2"
    assert refresh(credential).access == "access-2"
    assert upstream.refreshes == 1


def test_deleted_credential(credential: Credential) -> None:
    """A credential that was deleted meanwhile is not logged in."""
    Credential.objects.all().delete()
    with pytest.raises(NotLoggedIn):
        refresh(credential, rejected="access-1")


def test_token_near_its_expiry(client: UpstreamClient, upstream: Upstream) -> None:
    """A token near its expiry is replaced before the call, so that there is no 401."""
    Credential.objects.update(access_expires_at=timezone.now() + timedelta(seconds=20))
    Credential.objects.update(obtained_at=timezone.now() - timedelta(hours=1))
    assert client.get("orders/").json()["token"] == "access-2"
    assert [seen.path for seen in upstream.seen] == ["/refresh", "/orders/"]


def test_young_token_with_a_short_life(client: UpstreamClient, upstream: Upstream) -> None:
    """The leeway is at most half of the lifetime, so short-lived tokens aren't replaced on every call."""
    Credential.objects.update(access_expires_at=timezone.now() + timedelta(seconds=5), obtained_at=timezone.now())
    assert client.get("orders/").json()["token"] == "access-1"


def test_token_that_has_expired(client: UpstreamClient, upstream: Upstream) -> None:
    """A token past its expiry is replaced first, even though the upstream might still take it."""
    Credential.objects.update(access_expires_at=timezone.now() - timedelta(seconds=1))
    assert client.get("orders/").json()["token"] == "access-2"


def test_only_a_refresh_token(upstream: Upstream, transactional_db: None) -> None:
    """A credential adopted with nothing but a refresh token gets its first access token before the first call."""
    upstream.issue()
    client = UpstreamClient("up")
    client.adopt(TokenPair("", "refresh-1"))
    assert client.get("orders/").json()["token"] == "access-2"


# -- settle


def test_new_pair_is_stored(client: UpstreamClient, upstream: Upstream) -> None:
    """The new pair, its lifetimes and the event are stored, and every trace of failure is gone."""
    Credential.objects.update(failures=3, failure="x", failing_since=timezone.now(), interrupted_at=timezone.now())
    upstream.lifetime = 100
    before = timezone.now()
    client.refresh()
    row = Credential.objects.get()
    assert (row.pair.access, row.pair.refresh, row.generation) == ("access-2", "refresh-2", 2)
    assert row.access_expires_at is not None
    assert timedelta(seconds=99) < row.access_expires_at - before < timedelta(seconds=102)
    assert (row.failures, row.failure, row.failing_since, row.interrupted_at, row.lease) == (0, "", None, None, "")
    event = Event.objects.get(kind="refreshed")
    assert (event.credential, event.status_code, event.state, event.verdict) == (row, 200, "active", "ok")
    assert event.seconds is not None
    assert len(event.access_fingerprint) == len(event.refresh_fingerprint) == 12


def test_answer_without_a_refresh_token(client: UpstreamClient, upstream: Upstream) -> None:
    """Where an answer holds no refresh token the old one stays."""
    upstream.answers["/refresh"] = Answer(200, {"access": "fresh"})
    client.refresh()
    assert Credential.objects.get().pair.refresh == "refresh-1"


def test_no_refresh_token_stored(upstream: Upstream, transactional_db: None) -> None:
    """Where there is nothing to refresh with, a 401 makes the credential rejected without a request."""
    client = UpstreamClient("up")
    client.adopt(TokenPair("stale"))
    with pytest.raises(CredentialRejected, match="there is nothing to refresh it with"):
        client.get("orders/")
    assert upstream.refreshes == 0


def test_login_during_refresh(client: UpstreamClient, upstream: Upstream) -> None:
    """A login that happens while a refresh is under way wins, and the refresh's caller gets its pair."""

    def refreshing(_: Seen) -> Answer:
        client.adopt(TokenPair("from-login", "refresh-from-login"))
        return Answer(200, {"access": "too-late", "refresh": "too-late"})

    upstream.answers["/refresh"] = refreshing
    assert client.refresh().access == "from-login"
    assert Credential.objects.get().pair.refresh == "refresh-from-login"


def test_acknowledgement_of_the_commit_is_lost(client: UpstreamClient, upstream: Upstream) -> None:
    """A second try to write which finds the very pair stored is a success."""

    def refreshing(_: Seen) -> Answer:
        client.adopt(TokenPair("access-2", "refresh-2"))
        return Answer(200, {"access": "access-2", "refresh": "refresh-2"})

    upstream.answers["/refresh"] = refreshing
    assert client.refresh().access == "access-2"
    assert upstream.refreshes == 1


def test_refusal_for_a_token_that_was_replaced(client: UpstreamClient, upstream: Upstream) -> None:
    """A refusal is recorded only if the refused refresh token is still the stored one."""

    def refreshing(_: Seen) -> Answer:
        Credential.objects.update(refresh_token="restored", access_token="restored", generation=7)
        return Answer(401, {"detail": "no"})

    upstream.answers["/refresh"] = refreshing
    assert client.refresh().access == "restored"
    assert Credential.objects.get().state == "active"


def hold_the_row(seconds: float) -> threading.Thread:
    """Lock the row (on SQLite, the database) from another connection for a while."""
    has_locked = threading.Event()

    def hold() -> None:
        with transaction.atomic():
            Credential.objects.update(username="held")
            has_locked.set()
            threading.Event().wait(seconds)
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert has_locked.wait(5)
    return thread


def test_database_away_after_the_answer(client: UpstreamClient, upstream: Upstream) -> None:
    """If the pair can't be written at once the write is tried again; the refresh is not."""
    holding: list[threading.Thread] = []

    def refreshing(_: Seen) -> Answer:
        holding.append(hold_the_row(0.8))
        return Answer(200, {"access": "access-2", "refresh": "refresh-2"})

    upstream.answers["/refresh"] = refreshing
    assert client.refresh().access == "access-2"
    assert Credential.objects.get().pair.refresh == "refresh-2"
    assert upstream.refreshes == 1
    holding[0].join()


def test_database_away_for_too_long(
    client: UpstreamClient, upstream: Upstream, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """If the pair can't be written for JWT_UPSTREAM_SETTLE_SECONDS the loss is logged as critical."""
    settings.JWT_UPSTREAM_SETTLE_SECONDS = 0.1
    holding: list[threading.Thread] = []

    def refreshing(_: Seen) -> Answer:
        holding.append(hold_the_row(2.0))
        return Answer(200, {"access": "access-2", "refresh": "refresh-2"})

    upstream.answers["/refresh"] = refreshing
    with pytest.raises(RefreshUnavailable, match="the new tokens are lost"):
        client.refresh()
    assert [record.levelname for record in caplog.records if "lost" in record.message] == ["CRITICAL"]
    assert "access-2" not in caplog.text
    holding[0].join()


# -- failures


@pytest.mark.parametrize(
    "answer",
    [
        Answer(503, {"detail": "later"}),
        Answer(429, {"detail": "slow down"}),
        Answer(408),
        Answer(425),
        Answer(200, b"<html>maintenance</html>", {"Content-Type": "text/html"}),
        Answer(200, b""),
        Answer(200, {"hello": "world"}),
        Answer(200, b'{"access": "trunc'),
        Answer(307, b"", {"Location": "http://127.0.0.1:1/"}),
    ],
    ids=["503", "429", "408", "425", "html", "empty", "no token", "truncated", "redirect"],
)
def test_transient_trouble(client: UpstreamClient, upstream: Upstream, settings: Any, answer: Answer) -> None:
    """Trouble that passes costs no credential: callers are told when to try again, and nobody asks before then."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["backoff"] = 10.0
    upstream.expire()
    upstream.answers["/refresh"] = answer
    for _ in range(5):
        with pytest.raises(RefreshUnavailable) as caught:
            client.get("orders/")
    assert caught.value.retry_after is not None
    assert 0 < caught.value.retry_after <= 12
    assert caught.value.since is not None
    assert upstream.refreshes == 1
    row = Credential.objects.get()
    assert (row.state, row.failures, row.pair.refresh) == ("active", 1, "refresh-1")
    assert kinds() == ["logged_in", "failed"]


def test_recovery_by_itself(client: UpstreamClient, upstream: Upstream) -> None:
    """Once the backoff is over the next call refreshes, and the failure is forgotten."""
    upstream.expire()
    upstream.answers["/refresh"] = Answer(503)
    with pytest.raises(RefreshUnavailable):
        client.get("orders/")
    del upstream.answers["/refresh"]
    pass_time(2)
    assert client.get("orders/").status_code == 200
    row = Credential.objects.get()
    assert (row.failures, row.next_attempt_at) == (0, None)
    assert not Incident.objects.filter(is_open=True).exists()


def test_backoff_grows(client: UpstreamClient, upstream: Upstream) -> None:
    """Each further failure doubles the backoff, up to the maximum."""
    upstream.expire()
    upstream.answers["/refresh"] = Answer(503)
    pauses = []
    for _ in range(9):
        with pytest.raises(RefreshUnavailable) as caught:
            client.get("orders/")
        pauses.append(caught.value.retry_after or 0)
        pass_time(3600)
    for pause, expected in zip(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60], strict=True):
        assert 0.8 * expected - 0.5 < pause < 1.2 * expected  # half a second for a slow machine


def test_retry_after(client: UpstreamClient, upstream: Upstream) -> None:
    """A wait that the upstream asks for is kept."""
    upstream.expire()
    upstream.answers["/refresh"] = Answer(429, {}, {"Retry-After": "120"})
    with pytest.raises(RefreshUnavailable) as caught:
        client.get("orders/")
    assert 118 < (caught.value.retry_after or 0) <= 120


def test_degraded(client: UpstreamClient, upstream: Upstream, mailoutbox: list[mail.EmailMessage]) -> None:
    """While refreshing fails, callers are served with the token that still works."""
    Credential.objects.update(access_expires_at=timezone.now() + timedelta(seconds=20))
    Credential.objects.update(obtained_at=timezone.now() - timedelta(hours=1))
    upstream.answers["/refresh"] = Answer(503)
    for _ in range(3):
        assert client.get("orders/").status_code == 200
    assert upstream.refreshes == 1
    assert Credential.objects.get().is_degraded
    assert mailoutbox == []


def test_expiry_while_degraded(client: UpstreamClient, upstream: Upstream) -> None:
    """Once the token of a degraded credential has expired, callers are told to try again later."""
    Credential.objects.update(access_expires_at=timezone.now() - timedelta(seconds=1))
    upstream.answers["/refresh"] = Answer(503)
    with pytest.raises(RefreshUnavailable):
        client.get("orders/")
    assert not Credential.objects.get().is_degraded


def test_misconfiguration(upstream: Upstream, transactional_db: None, mailoutbox: list[mail.EmailMessage]) -> None:
    """What our settings get wrong marks no credential and is told once per upstream; fixing it is told as well."""
    upstream.answers["/refresh"] = Answer(404, {"detail": "Not Found"})
    for account in ("ann", "bea"):
        client = UpstreamClient("up", account)
        client.adopt(TokenPair("stale", "refresh"))
        for _ in range(2):
            with pytest.raises(UpstreamMisconfigured):
                client.get("orders/")
    assert set(Credential.objects.values_list("state", flat=True)) == {"active"}
    assert [message.subject for message in mailoutbox] == ["[Django] jwt_upstream: upstream up is misconfigured"]
    upstream.answers["/refresh"] = lambda _: Answer(200, upstream.issue())
    pass_time(5)
    for account in ("ann", "bea"):
        UpstreamClient("up", account).get("orders/")
    assert [message.subject for message in mailoutbox[1:]] == ["[Django] jwt_upstream: upstream up works again"]


def test_upstream_down_for_long(
    client: UpstreamClient, upstream: Upstream, mailoutbox: list[mail.EmailMessage]
) -> None:
    """An upstream that is down is told of once, and only if it lasts."""
    upstream.expire()
    upstream.answers["/refresh"] = Answer(503)
    for minutes in range(9):
        with pytest.raises(RefreshUnavailable):
            client.get("orders/")
        assert len(mailoutbox) == (minutes > 2)
        pass_time(120)
    assert [message.subject for message in mailoutbox] == ["[Django] jwt_upstream: upstream up is down"]


class BrokenBackend(Backend):
    """A backend somebody wrote with a bug in it."""

    def refresh(self, pair: TokenPair) -> Outcome:
        raise KeyError(pair.refresh)


def test_bug_in_a_backend(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """A bug in somebody's backend is an attempt that failed; its message, which may hold a token, is not shown."""
    settings.JWT_UPSTREAM["up"]["BACKEND"] = "tests.refresh.test_protocol.BrokenBackend"
    upstream.expire()
    with pytest.raises(RefreshUnavailable) as caught:
        client.get("orders/")
    assert caught.value.reason == "KeyError in BrokenBackend.refresh"
    assert Credential.objects.get().lease == ""


# -- what an answer to a call says meanwhile


def lock_meanwhile(upstream: Upstream, outcome: Answer) -> None:
    """Have an answer to a call say that the account is locked while a refresh is under way."""
    upstream.answers["/orders/"] = Answer(401, {"message": "Account is disabled."})

    def refreshing(_: Seen) -> Answer:
        with pytest.raises(AccountLocked):
            UpstreamClient("up").get("orders/")
        return outcome

    upstream.answers["/refresh"] = refreshing


@pytest.mark.parametrize(
    "outcome",
    [
        Answer(503),
        Answer(404, {"detail": "no"}),
        Answer(401, {"detail": "no"}),
        Answer(401, {"message": "Account is disabled."}),
    ],
    ids=["down", "misconfigured", "refused", "locked"],
)
def test_locked_while_a_refresh_fails(
    client: UpstreamClient, upstream: Upstream, outcome: Answer, mailoutbox: list[mail.EmailMessage]
) -> None:
    """The credential stays locked, whatever the refresh comes to: events, error and mails tell of it, once."""
    lock_meanwhile(upstream, outcome)
    with pytest.raises(AccountLocked, match="Account is disabled"):
        client.refresh()
    row = Credential.objects.get()
    assert (row.state, row.lease) == ("locked", "")
    told = list(Event.objects.order_by("pk").values_list("kind", "state_before", "state"))
    assert told[1:] == [("locked", "active", "locked"), ("failed", "locked", "locked")]
    assert [message.subject for message in mailoutbox] == ["[Django] jwt_upstream: up/default is locked"]


def test_locked_while_a_refresh_works(
    client: UpstreamClient, upstream: Upstream, mailoutbox: list[mail.EmailMessage]
) -> None:
    """New tokens clear the state, and what is told begins with the state as it was."""
    lock_meanwhile(upstream, Answer(200, {"access": "access-2", "refresh": "refresh-2"}))
    assert client.refresh().access == "access-2"
    event = Event.objects.get(kind="refreshed")
    assert (event.state_before, event.state, Credential.objects.get().state) == ("locked", "active", "active")
    assert [message.subject.split()[-1] for message in mailoutbox] == ["locked", "again"]


# -- claims


def lease_by_another(lapsed: bool = False) -> None:
    until = timezone.now() + timedelta(seconds=-1 if lapsed else 30)
    Credential.objects.update(lease="another", lease_expires_at=until)


def test_busy(client: UpstreamClient, upstream: Upstream, settings: Any, mailoutbox: list[mail.EmailMessage]) -> None:
    """A caller that waits too long for another worker is told to try again; nothing is recorded as broken."""
    settings.JWT_UPSTREAM_WAIT_SECONDS = 0.2
    upstream.expire()
    lease_by_another()
    with pytest.raises(RefreshBusy) as caught:
        client.get("orders/")
    left = caught.value.retry_after or 0
    assert 1 < left <= 30  # of a lease of 30 s, however long this machine was busy
    assert f"its lease expires in {left:.0f} s" in str(caught.value)
    assert (kinds(), mailoutbox, upstream.refreshes) == (["logged_in"], [], 0)


def test_slow_upstream(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """A caller that waits too long for its own process's refresh is told to try again; the refresh is finished."""
    settings.JWT_UPSTREAM_WAIT_SECONDS = 0.2
    upstream.expire()
    upstream.refresh_delay = 1.0
    with pytest.raises(RefreshBusy):
        client.get("orders/")
    settings.JWT_UPSTREAM_WAIT_SECONDS = 15.0
    assert client.get("orders/").json()["token"] == "access-2"
    assert upstream.refreshes == 1


def test_token_that_is_left_alone(credential: Credential, upstream: Upstream) -> None:
    """A token that a 401 was left alone for is not replaced for one, whoever asks."""
    Credential.objects.update(refresh_suppressed_until=timezone.now() + timedelta(seconds=30))
    assert refresh(credential, rejected="access-1").access == "access-1"
    assert upstream.refreshes == 0


def test_another_worker_finishes(client: UpstreamClient, upstream: Upstream) -> None:
    """A waiter gets the pair that another worker has stored."""
    upstream.expire()
    lease_by_another()
    pair = upstream.issue()

    def finish() -> None:
        client.adopt(TokenPair(pair["access"], pair["refresh"]))
        connection.close()

    timer = threading.Timer(0.3, finish)
    timer.start()
    assert client.get("orders/").json()["token"] == pair["access"]
    assert upstream.refreshes == 0
    timer.join()


def test_lapsed_lease(client: UpstreamClient, upstream: Upstream) -> None:
    """A lease that lapsed unsettled is recorded as an interrupted refresh, then the next worker takes over."""
    lease_by_another(lapsed=True)
    upstream.expire()
    assert client.get("orders/").status_code == 200
    assert kinds() == ["logged_in", "interrupted", "refreshed"]
    assert Credential.objects.get().interrupted_at is None


def test_refused_after_an_interruption(client: UpstreamClient, upstream: Upstream) -> None:
    """A refusal after an interrupted refresh says so, since that is the likely cause."""
    lease_by_another(lapsed=True)
    upstream.expire()
    upstream.refresh = "rotated by the worker that died"
    with pytest.raises(CredentialRejected, match=r"a refresh at .* was interrupted, its answer may be lost"):
        client.get("orders/")


def test_frozen_between_lease_and_call(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """Nothing is sent if the lease could lapse during the call: another worker may spend the token then."""
    settings.JWT_UPSTREAM_LEASE_SECONDS = 0.5
    settings.JWT_UPSTREAM_WAIT_SECONDS = 0.3
    upstream.expire()
    with pytest.raises(RefreshBusy):
        client.get("orders/")
    assert upstream.refreshes == 0


def test_lease_that_another_worker_got(credential: Credential, client: UpstreamClient, upstream: Upstream) -> None:
    """A worker that comes too late for the lease sends nothing, and looks again."""
    client.refresh()
    upstream.seen.clear()
    leader = Leader(credential, None, get_backend("up"), "default", Flight())
    assert leader._lease_and_call(credential, credential.pair) is None
    assert upstream.seen == []


def test_trouble_of_what_was_restored_just_now(client: UpstreamClient, upstream: Upstream) -> None:
    """Once other tokens have restored a rejected credential, trouble is trouble, and no rejection."""
    upstream.answers["/refresh"] = Answer(401, {"detail": "no"})
    with pytest.raises(CredentialRejected):
        client.refresh()
    Credential.objects.update(refresh_token="by-hand")
    upstream.answers["/refresh"] = Answer(503)
    with pytest.raises(RefreshUnavailable):
        client.refresh()
    assert Credential.objects.get().state == "active"


# -- one flight per process


def test_threads_share_one_refresh(client: UpstreamClient, upstream: Upstream) -> None:
    """16 threads with an expired token make one refresh, and every call succeeds."""
    upstream.expire()
    upstream.refresh_delay = 0.5

    def call(_: int) -> int:
        try:
            return client.get("orders/").status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(call, range(16))) == [200] * 16
    assert upstream.refreshes == 1


def test_threads_share_one_failure(client: UpstreamClient, upstream: Upstream) -> None:
    """When a refresh fails its waiters fail with it, each with an error of its own, and none tries again."""
    upstream.expire()
    upstream.answers["/refresh"] = Answer(503, delay=0.5)

    def call(_: int) -> BaseException:
        try:
            with pytest.raises(RefreshUnavailable) as caught:
                client.get("orders/")
            return caught.value
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        errors = list(pool.map(call, range(8)))
    assert upstream.refreshes == 1
    assert len({id(error) for error in errors}) == 8


def test_route_that_always_says_401(client: UpstreamClient, upstream: Upstream) -> None:
    """A 401 that a fresh token didn't help costs one refresh per minimum interval, not one per call."""
    upstream.answers["/orders/"] = Answer(401, {"detail": "never"})
    for _ in range(3):
        assert client.get("orders/").status_code == 401
    assert upstream.refreshes == 1
    pass_time(61)
    for _ in range(3):
        assert client.get("orders/").status_code == 401
    assert upstream.refreshes == 2
