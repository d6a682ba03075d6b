"""The outbox as rows: written with the incident, taken by one worker only, and told again until it is delivered."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import transaction

from jwt_upstream.clock import host_now
from jwt_upstream.models import Credential, Incident, Notice
from jwt_upstream.store import EventDetails, incidents, outbox, queries, transitions
from jwt_upstream.store.outbox import Batch, Group
from tests.store.test_incidents import USING, at_once, failing, put, refreshed
from tests.support.clock import pass_time

MAIL, CHAT = "jwt_upstream.alerts.mail", "project.chat"
OPENED, REMINDER = Group(MAIL, "up", "opened"), Group(MAIL, "up", "reminder")
RECOVERED, EXPIRING = Group(MAIL, "up", "recovered"), Group(MAIL, "up", "expiring")
DAY = 86400.0


@pytest.fixture(autouse=True)
def window(transactional_db: None, settings: Any) -> None:
    """Ten seconds in which things are told together, as by default."""
    settings.JWT_UPSTREAM_NOTIFY_AFTER_SECONDS = 10


def lock(account: str) -> Credential:
    """Have an account's incident opened."""
    row = put(account)
    assert transitions.mark(row, "locked", USING, EventDetails("Account is disabled.")) is not None
    return queries.find("up", account, USING) or row


def mend(account: str) -> None:
    """Have an account's incident closed."""
    event, after = refreshed(queries.find("up", account, USING) or put(account))
    for incident in incidents.find(after, USING):
        incidents.close(incident, event, after, after.now(), USING)


def take(group: Group) -> Batch:
    """Take what is due."""
    batch = outbox.take(group, 30, USING)
    assert batch is not None
    return batch


def tell(group: Group) -> int:
    """Take what is due and deliver it; return of how much the message was."""
    batch = take(group)
    outbox.told(batch, USING)
    return sum(batch.counts.values())


def kinds() -> list[str]:
    """Return what is to be told next, in the order in which it was written."""
    return list(Notice.objects.values_list("kind", flat=True))


def due(*names: str) -> list[str]:
    """Return of which kind what is due is."""
    return [group.kind for group in outbox.due(names or [MAIL], USING)]


def test_rolled_back_with_the_incident() -> None:
    """What is to be told is written in the transaction that opens the incident, or not at all."""
    row = put("ann")
    with transaction.atomic():
        transitions.mark(row, "locked", USING, EventDetails("no"))
        assert kinds() == ["opened"]
        transaction.set_rollback(True)
    assert (kinds(), Incident.objects.count()) == ([], 0)


def test_not_due_before_the_window_is_over() -> None:
    """What is opened waits for more of the same upstream, and is told together with it; others are told apart."""
    lock("ann")
    assert (due(), outbox.take(OPENED, 30, USING)) == ([], None)
    pass_time(9)
    for name in ("bea", "cid"):
        lock(name)
    pass_time(2)
    assert due() == ["opened"]
    batch = take(OPENED)
    assert (batch.counts, [notice.account for notice in batch.notices]) == ({"locked": 3}, ["ann", "bea", "cid"])


def test_many_are_counted_and_some_named() -> None:
    """Of a great many, a message has the first twenty and the number of each kind."""
    for number in range(23):
        incident = Incident.objects.create(
            upstream="up", account=f"a{number}", kind="locked" if number else "rejected"
        )
        outbox.tell(incident, host_now() - timedelta(hours=1), USING)
    batch = take(OPENED)
    assert (len(batch.notices), batch.counts) == (20, {"locked": 22, "rejected": 1})


def test_of_many_workers_one_takes() -> None:
    """Of many workers that look at the same moment one gets what is due, all of it, even from one that ends."""
    for name in ("ann", "bea", "cid"):
        lock(name)
    pass_time(11)
    taken = at_once([partial(outbox.take, OPENED, 30, USING)] * 8)
    assert [batch.counts for batch in taken if batch] == [{"locked": 3}]
    assert due() == []
    lock("dan")
    assert list(outbox.due([MAIL], USING, 60)) == [OPENED]
    ahead = outbox.take(OPENED, 30, USING, 60)
    assert ahead is not None
    assert ahead.counts == {"locked": 1}
    assert list(outbox.due([MAIL], USING, 60)) == []


def test_worker_that_dies_while_telling() -> None:
    """What a worker took and never settled is due again after a while, with what has come since."""
    lock("ann")
    pass_time(11)
    lost = take(OPENED)
    lock("bea")
    pass_time(11)
    assert tell(OPENED) == 1, "what the other one tells is left to it"
    pass_time(20)
    assert take(OPENED).counts == {"locked": 1}
    outbox.told(lost, USING)
    assert kinds() == ["opened", "reminder"], "it comes too late to say anything"


def test_reminders() -> None:
    """Who needs a human is reminded of each day, all of an upstream in one message, until it works."""
    lock("ann")
    pass_time(11)
    tell(OPENED)
    pass_time(DAY / 2)
    lock("bea")
    pass_time(11)
    tell(OPENED)
    assert (due(), kinds()) == ([], ["reminder", "reminder"])
    pass_time(DAY / 2)
    for _ in range(2):
        assert tell(REMINDER) == 2
        assert due() == []
        pass_time(DAY + 1)
    mend("ann")
    mend("bea")
    pass_time(11)
    assert due() == ["recovered"]


@pytest.mark.parametrize(("verdict", "number"), [("transient", 0), ("config", 1)])
def test_no_reminders_of_what_may_end_by_itself(verdict: str, number: int, settings: Any) -> None:
    """Of an upstream that is down nobody is reminded, of one that is misconfigured they are."""
    settings.JWT_UPSTREAM_OUTAGE_SECONDS = 0
    row = failing("ann", verdict)
    assert incidents.note_failure(row, "", row.now(), USING) is not None
    pass_time(11)
    tell(OPENED)
    pass_time(DAY + 1)
    batch = outbox.take(REMINDER, 30, USING)
    assert (batch is not None) == bool(number)
    assert due() == []


def test_over_before_it_was_told() -> None:
    """An incident that ends within the window, or while nobody can be told, is told neither begun nor over."""
    lock("ann")
    mend("ann")
    lock("ann")
    pass_time(11)
    outbox.not_told(take(OPENED), "no server", USING)
    mend("ann")
    assert kinds() == []


def test_each_notifier_for_itself(settings: Any) -> None:
    """A notifier that fails repeats nothing that another tells; the end is told by who told the beginning."""
    settings.JWT_UPSTREAM_NOTIFIERS = [MAIL, CHAT]
    lock("ann")
    pass_time(11)
    tell(OPENED)
    outbox.not_told(take(Group(CHAT, "up", "opened")), "HTTP 503", USING)
    chat = Notice.objects.get(notifier=CHAT)
    assert (chat.kind, chat.attempts, chat.error) == ("opened", 1, "HTTP 503")
    mend("ann")
    assert list(Notice.objects.values_list("notifier", "kind")) == [(MAIL, "recovered")]
    pass_time(11)
    assert tell(RECOVERED) == 1
    assert kinds() == []


def test_backoff() -> None:
    """What could not be told is tried again with a growing backoff, up to an hour, by this database's clock."""
    lock("ann")
    pass_time(11)
    waited = []
    for _ in range(10):
        outbox.not_told(take(OPENED), "no server", USING)
        seconds = outbox.next_due([MAIL], USING)
        assert seconds is not None
        waited.append(seconds)
        pass_time(seconds + 0.1)
    for seconds, expected in zip(waited, [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600], strict=True):
        assert expected * 0.75 < seconds <= expected * 1.2
    assert tell(OPENED) == 1
    assert list(Notice.objects.values_list("kind", "attempts", "error")) == [("reminder", 0, "")]


@pytest.mark.parametrize("is_delivered", [True, False])
def test_over_while_it_is_told(is_delivered: bool) -> None:
    """The end of an incident that comes while its beginning is told is told if the latter was delivered."""
    lock("ann")
    pass_time(11)
    batch = take(OPENED)
    mend("ann")
    assert due() == [], "first the beginning"
    outbox.told(batch, USING) if is_delivered else outbox.not_told(batch, "no server", USING)
    pass_time(11)
    assert due() == (["recovered"] if is_delivered else [])


def test_over_while_a_reminder_fails() -> None:
    """The end of an incident is told although a reminder of it could not be."""
    lock("ann")
    pass_time(11)
    tell(OPENED)
    pass_time(DAY + 1)
    batch = take(REMINDER)
    mend("ann")
    outbox.not_told(batch, "no server", USING)
    pass_time(11)
    assert due() == ["recovered"]


def test_needs_a_human_while_it_is_told_as_failing(settings: Any) -> None:
    """A credential that is locked while a worker tells that it fails is told once more, as locked."""
    settings.JWT_UPSTREAM_OUTAGE_SECONDS = 0
    put("bea", worked_at=host_now() + timedelta(hours=1))
    row = failing("ann")
    assert incidents.note_failure(row, "", row.now(), USING) is not None
    pass_time(11)
    batch = take(OPENED)
    assert batch.counts == {"failing": 1}
    assert transitions.mark(row, "locked", USING, EventDetails("no")) is not None
    outbox.told(batch, USING)
    pass_time(11)
    assert take(OPENED).counts == {"locked": 1}


@pytest.mark.parametrize("is_told", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_over_before_it_is_told_as_locked(settings: Any, is_told: bool, fails: bool) -> None:
    """The end of an incident that was told as failing is told, if nobody could be told by then that it got worse."""
    settings.JWT_UPSTREAM_OUTAGE_SECONDS = 0
    put("bea", worked_at=host_now() + timedelta(hours=1))
    row = failing("ann")
    assert incidents.note_failure(row, "", row.now(), USING) is not None
    pass_time(11 if is_told else 0)
    assert sum(tell(OPENED) for _ in due()) == is_told
    assert transitions.mark(row, "locked", USING, EventDetails("no")) is not None
    pass_time(11 if fails else 0)
    batch = take(OPENED) if fails else None
    mend("ann")
    if batch:
        outbox.not_told(batch, "no server", USING)
    pass_time(11)
    assert due() == ["recovered"] * is_told


def test_no_notifiers(settings: Any) -> None:
    """Without a notifier incidents are kept, and nothing is to be told."""
    settings.JWT_UPSTREAM_NOTIFIERS = []
    lock("ann")
    mend("ann")
    assert (kinds(), Incident.objects.get().closed_at is not None) == ([], True)


def test_deleted_credential() -> None:
    """Of a credential that is deleted nothing is told any more."""
    lock("ann")
    pass_time(11)
    tell(OPENED)
    Credential.objects.all().delete()
    assert kinds() == []


def test_expiries_are_told_once() -> None:
    """Each expiry is told once; a later one, after a login, anew."""
    now, told = put("ann").now(), []
    for days in (3, 3, 5, 5):
        expires_at = now + timedelta(days=days)
        put("ann", refresh_expires_at=expires_at)
        outbox.warn("up", "ann", expires_at, now - timedelta(seconds=11), USING)
        told.append(tell(EXPIRING) if due() else 0)
    assert told == [1, 0, 1, 0]
    assert outbox.next_due([MAIL], USING) is None


def test_expiry_that_is_out_of_date() -> None:
    """An expiry is not told once somebody has logged in; that of a client secret is told whatever credentials say."""
    row = put("ann")
    expires_at, since = row.now() + timedelta(days=3), row.now() - timedelta(seconds=11)
    outbox.warn("up", "ann", expires_at, since, USING)
    outbox.warn("up", "", expires_at, since, USING)
    assert [notice.account for notice in take(EXPIRING).notices] == [""]


def test_tidying(settings: Any) -> None:
    """What nobody tells any more goes after a week: of a notifier that is gone, and of an expiry that has passed."""
    row = put("ann")
    outbox.warn("up", "ann", row.now() - timedelta(days=8), row.now(), USING)
    settings.JWT_UPSTREAM_NOTIFIERS = [CHAT]
    lock("bea")
    settings.JWT_UPSTREAM_NOTIFIERS = [MAIL]
    lock("cid")
    outbox.tidy(USING)
    assert kinds() == ["opened", "opened"]
    pass_time(8 * DAY)
    outbox.tidy(USING)
    assert [str(notice) for notice in Notice.objects.all()] == ["up/cid: opened by jwt_upstream.alerts.mail"]
