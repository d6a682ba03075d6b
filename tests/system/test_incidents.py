"""What admins are told of a fleet in trouble: each incident once, of whom it concerns, and its end when it is over."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core import mail
from django.db import connections
from django.db.backends.signals import connection_created
from django.test import Client

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import CredentialUnreadable, UpstreamError
from jwt_upstream.models import Credential, Incident
from jwt_upstream.refresh import try_again
from jwt_upstream.store.connections import close_idle
from jwt_upstream.tokens import TokenPair
from tests.support.admin_pages import LIST
from tests.support.clock import pass_time
from tests.support.upstream import Answer, Seen, Upstream

Mails = list[mail.EmailMessage]

GONE = Answer(400, {"error": "installation_gone", "message": "The company has removed the integration"})
SERVER_ERROR = Answer(500, b"<h1>Server Error (500)</h1>", {"Content-Type": "text/html"})
WRONG_SECRET = Answer(401, {"error": "invalid_client", "error_description": "Client secret has been rotated"})
DOWN = Answer(503, {"detail": "down"})
REFUSED = Answer(401, {"detail": "Token is invalid or expired", "code": "token_not_valid"})
LOCKED = Answer(401, {"message": "User account is locked."})


class Fleet:
    """Accounts of one upstream, of which some are answered in a way of their own: ``bad[name]``, or ``bad["*"]``."""

    def __init__(self, upstream: Upstream, settings: Any) -> None:
        settings.JWT_UPSTREAM["up"]["OPTIONS"] |= {"backoff": 0.0, "backoff_max": 0.0}
        self.upstream = upstream
        self.bad: dict[str, Answer] = {}
        self.refreshed = 0
        upstream.answers["/refresh"] = self._refresh

    def log_in(self, *names: str) -> None:
        for name in names:
            UpstreamClient("up", name).adopt(TokenPair(f"a-{name}", name))

    def _refresh(self, seen: Seen) -> Answer:
        self.refreshed += 1
        good = Answer(200, {"access": f"a-{self.refreshed}"})
        return self.bad.get("*") or self.bad.get(seen.json()["refresh"], good)

    def round(self, *names: str, seconds: float = 0.0) -> list[str]:
        """Have each of these refresh, then let time pass; return what they got."""
        said = []
        for name in names:
            try:
                UpstreamClient("up", name).refresh()
                said.append("ok")
            except UpstreamError as error:
                said.append(type(error).__name__)
        pass_time(seconds)
        return said

    def refresh_at_once(self, name: str, barrier: threading.Barrier) -> None:
        """Refresh when all others do, in a thread of one's own."""
        barrier.wait()
        with suppress(UpstreamError):
            UpstreamClient("up", name).refresh()
        connections.close_all()


@pytest.fixture
def fleet(upstream: Upstream, settings: Any, transactional_db: None) -> Fleet:
    """Three tenants, all well."""
    fleet = Fleet(upstream, settings)
    fleet.log_in("acme", "globex", "initech")
    fleet.round("acme", "globex", "initech")
    return fleet


TENANTS = ("acme", "globex", "initech")


def told(mailoutbox: Sequence[mail.EmailMessage]) -> list[str]:
    """Return what mails are about."""
    return [message.subject.partition("jwt_upstream: ")[2] for message in mailoutbox]


def open_incidents() -> list[tuple[str, str]]:
    """Return whose incidents are open, and of which kind."""
    rows = Incident.objects.filter(closed_at=None).order_by("account")
    return [(incident.account, incident.kind) for incident in rows]


# -- one of many


def test_one_tenant_that_is_refused(fleet: Fleet, mailoutbox: Mails) -> None:
    """A tenant that is refused in words nobody knows is one mail about that tenant, while the others work."""
    fleet.bad["initech"] = GONE
    for _ in range(4):
        assert fleet.round(*TENANTS) == ["ok", "ok", "UpstreamMisconfigured"]
    assert told(mailoutbox) == ["up/initech is failing"]
    body = str(mailoutbox[0].body)
    assert body.startswith("The account initech gets no new token from up, while other accounts do. It")
    assert " concerns 1 of 3 accounts at up: initech. Account: initech at up Since: 2" in " ".join(body.split())
    assert f"\nURL:      {fleet.upstream.url}refresh\nReason:   HTTP 400: " in body
    del fleet.bad["initech"]
    fleet.round(*TENANTS)
    assert told(mailoutbox)[1:] == ["up/initech works again"]
    assert open_incidents() == []


@pytest.mark.parametrize("trouble", [GONE, SERVER_ERROR])
def test_one_tenant_whom_nobody_is_compared_with(fleet: Fleet, trouble: Answer, mailoutbox: Mails) -> None:
    """A tenant that fails alone, since no other was tried, is the upstream's only until another works."""
    pass_time(3600)
    fleet.bad["initech"] = trouble
    for _ in range(4):
        fleet.round("initech", seconds=200)
    assert len(mailoutbox) == 1
    assert "1 of 3 accounts at up: initech." in " ".join(str(mailoutbox[0].body).split())
    for _ in range(4):
        fleet.round(*TENANTS, seconds=200)
    assert len(mailoutbox) == 1
    assert open_incidents() == [("initech", "failing")]


@pytest.mark.parametrize(("one", "everybody"), [(GONE, WRONG_SECRET), (SERVER_ERROR, DOWN)])
def test_outage_of_all_after_one(fleet: Fleet, one: Answer, everybody: Answer, mailoutbox: Mails) -> None:
    """The failure of one tenant hides no later outage of all, which is one mail, and outlasts the latter."""
    fleet.bad["initech"] = one
    for _ in range(4):
        fleet.round(*TENANTS, seconds=150)
    assert told(mailoutbox) == ["up/initech is failing"]
    fleet.bad["*"] = everybody
    for _ in range(3):
        fleet.round(*TENANTS, seconds=150)
    assert len(mailoutbox) == 2
    assert mailoutbox[1].subject.partition("upstream: ")[2] in {"upstream up is misconfigured", "upstream up is down"}
    assert " of 3 accounts at up, among them " in " ".join(str(mailoutbox[1].body).split())
    del fleet.bad["*"]
    for _ in range(3):
        fleet.round(*TENANTS, seconds=150)
    assert told(mailoutbox)[2:] == ["upstream up works again"]
    assert open_incidents() == [("initech", "failing")]


def test_one_tenant_while_the_others_need_no_refresh(fleet: Fleet, mailoutbox: Mails) -> None:
    """Others that worked a moment ago speak for a tenant's own trouble; its second failure is told all the same."""
    fleet.bad["initech"] = GONE
    fleet.round("initech")
    assert mailoutbox == []
    for _ in range(3):
        fleet.round("initech")
    assert told(mailoutbox) == ["upstream up is misconfigured"]
    body = " ".join(str(mailoutbox[0].body).split())
    assert "concerns 1 of 3 accounts at up: initech. No other account was tried since, so it may be this" in body
    fleet.round(*TENANTS)
    del fleet.bad["initech"]
    fleet.round(*TENANTS)
    assert told(mailoutbox)[1:] == ["up/initech works again"]


def test_two_tenants_with_different_troubles(fleet: Fleet, mailoutbox: Mails) -> None:
    """Two tenants that fail each for itself are two mails, however often; the first mail names both."""
    fleet.bad |= {"initech": GONE, "globex": SERVER_ERROR}
    for _ in range(8):
        fleet.round(*TENANTS, seconds=150)
    assert sorted(told(mailoutbox)) == ["up/globex is failing", "up/initech is failing"]
    assert "2 of 3 accounts at up, among them globex, initech." in str(mailoutbox[0].body)


def test_settings_that_differ_during_a_deployment(
    upstream: Upstream, settings: Any, transactional_db: None, mailoutbox: Mails
) -> None:
    """Where some workers have wrong settings, so that each tenant fails a few times and then works, one is told of."""
    fleet, tenants = Fleet(upstream, settings), [f"tenant-{number}" for number in range(4)]
    fleet.log_in("acme", *tenants)
    for name in tenants:
        fleet.bad = {name: WRONG_SECRET}
        fleet.round("acme", name, "acme", name, name)
        fleet.bad = {}
        fleet.round(name)
    assert told(mailoutbox) == ["up/tenant-0 is failing", "up/tenant-0 works again"]


def test_one_tenant_that_needs_a_human_after_all(fleet: Fleet, mailoutbox: Mails) -> None:
    """Admins who know that a credential fails hear once more when it needs them, and once when it works."""
    fleet.bad["initech"] = GONE
    for answer in (GONE, GONE, REFUSED):
        fleet.bad["initech"] = answer
        fleet.round(*TENANTS)
    assert told(mailoutbox) == ["up/initech is failing", "up/initech is rejected"]
    fleet.log_in("initech")
    assert told(mailoutbox)[2:] == ["up/initech works again"]


# -- all


@pytest.mark.parametrize("seconds", [0, 3600])
def test_outage_of_all(fleet: Fleet, seconds: float, mailoutbox: Mails) -> None:
    """An upstream that is down for all is one mail, and its end one; whoever is late to recover is none."""
    pass_time(seconds)
    fleet.bad["*"] = DOWN
    for _ in range(4):
        fleet.round(*TENANTS, seconds=150)
    assert told(mailoutbox) == ["upstream up is down"]
    fleet.bad = {"globex": DOWN, "initech": DOWN}
    fleet.round(*TENANTS)
    fleet.bad = {}
    fleet.round(*TENANTS)
    assert told(mailoutbox) == ["upstream up is down", "upstream up works again"]
    assert open_incidents() == []


def test_outage_that_all_find_at_once(fleet: Fleet, settings: Any, mailoutbox: Mails) -> None:
    """Tenants that fail at the same moment, in threads of their own, and then work so, are one mail each time."""
    settings.JWT_UPSTREAM_OUTAGE_SECONDS = 0
    tenants = [*TENANTS, *(f"tenant-{number}" for number in range(5))]
    fleet.log_in(*tenants)
    for answers, subjects in [({"*": DOWN}, ["upstream up is down"]), ({}, ["upstream up works again"])]:
        fleet.bad = dict(answers)
        barrier = threading.Barrier(len(tenants))
        threads = [threading.Thread(target=fleet.refresh_at_once, args=(name, barrier)) for name in tenants]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert told(mailoutbox) == subjects
        mailoutbox.clear()


def test_wrong_settings_of_all(fleet: Fleet, mailoutbox: Mails) -> None:
    """Wrong settings are told of as soon as no tenant works with them, and not of each tenant."""
    fleet.bad["*"] = WRONG_SECRET
    for _ in range(3):
        fleet.round(*TENANTS)
    assert told(mailoutbox) == ["upstream up is misconfigured"]
    fleet.bad = {}
    fleet.round(*TENANTS)
    assert told(mailoutbox)[1:] == ["upstream up works again"]


def test_causes_that_alternate(upstream: Upstream, settings: Any, transactional_db: None, mailoutbox: Mails) -> None:
    """However often causes alternate and somebody tries again, there are two incidents: the account's, the upstream's.

    Neither trying again nor logging out closes them; a login and a refresh do.
    """
    fleet = Fleet(upstream, settings)
    fleet.log_in("acme")
    settings.JWT_UPSTREAM_OUTAGE_SECONDS = 0
    for _ in range(3):
        for answer in (DOWN, WRONG_SECRET, LOCKED, REFUSED):
            fleet.bad["*"] = answer
            fleet.round("acme")
            with suppress(UpstreamError):
                try_again(Credential.objects.get(), by="ann")
    assert told(mailoutbox) == ["upstream up is down", "up/acme is locked"]
    UpstreamClient("up", "acme").logout()
    assert open_incidents() == [("acme", "rejected")], "no credential is left that could need the upstream"
    fleet.bad = {}
    fleet.log_in("acme")
    assert told(mailoutbox)[2:] == ["up/acme works again"]
    assert fleet.round("acme") == ["ok"]
    assert len(mailoutbox) == 3


def test_trying_again_keeps_since_when_it_fails(fleet: Fleet, admin_client: Client) -> None:
    """Refresh now attempts at once, and neither forgets since when refreshes fail nor how often they did."""
    fleet.bad["*"] = DOWN
    fleet.round("acme", seconds=600)
    row = Credential.objects.get(account="acme")
    for number in (2, 3):
        admin_client.post(LIST, {"action": "try_again", "_selected_action": [row.pk]})
        after = Credential.objects.get(account="acme")
        assert (after.failures, after.failing_since) == (number, row.failing_since)
    incident = Incident.objects.get()
    assert (incident.account, incident.since, incident.notified_at is not None) == ("", row.failing_since, True)


# -- nobody left


@pytest.mark.parametrize("by", ["log out", "delete", "delete many"])
def test_nobody_is_left(fleet: Fleet, by: str, mailoutbox: Mails) -> None:
    """The incident of an upstream is closed with its last credential, and nobody hears that it works again."""
    fleet.bad["*"] = WRONG_SECRET
    fleet.round(*TENANTS)
    for name in TENANTS:
        assert open_incidents()[0] == ("", "misconfigured")
        rows = Credential.objects.filter(account=name)
        if by == "log out":
            UpstreamClient("up", name).logout()
        elif by == "delete":
            rows.get().delete()
    if by == "delete many":
        Credential.objects.all().delete()
    assert open_incidents() == []
    assert told(mailoutbox) == ["upstream up is misconfigured"]


def test_credential_that_is_deleted(fleet: Fleet, mailoutbox: Mails) -> None:
    """The incident of a credential ends with it, and is kept; its successor's is a new one."""
    fleet.bad["acme"] = REFUSED
    for _ in range(2):
        fleet.log_in("acme")
        fleet.round(*TENANTS)
        Credential.objects.get(account="acme").delete()
    assert told(mailoutbox) == ["up/acme is rejected"] * 2
    assert open_incidents() == []
    assert Incident.objects.filter(account="acme", recovery_notified_at=None).count() == 2


# -- what it costs


def test_queries(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """A refresh that works looks once for open incidents, and a call never does."""
    asked: list[str] = []

    def listen(execute: Any, sql: str, *arguments: Any) -> Any:
        asked.append(sql)
        return execute(sql, *arguments)

    def connected(connection: Any, **_: Any) -> None:
        connection.execute_wrappers.append(listen)

    close_idle()  # what is kept was created before
    connection_created.connect(connected)
    try:
        client.get("orders/")
        upstream.expire()
        client.get("orders/")
    finally:
        connection_created.disconnect(connected)
    assert upstream.refreshes == 1
    assert sum("jwt_upstream_incident" in sql for sql in asked) == 1


def test_url_shows_no_secret(upstream: Upstream, settings: Any, transactional_db: None, mailoutbox: Mails) -> None:
    """The URL that a mail names has neither a query nor a secret that the settings put into its path."""
    options = {"refresh_path": "v1/{client_secret}/refresh", "refresh_query": {"key": "{client_secret}"}}
    settings.JWT_UPSTREAM["up"]["OPTIONS"] |= {**options, "client_id": "us", "client_secret": "s3/cret"}
    upstream.answers["/v1/s3%2Fcret/refresh"] = Answer(404)
    fleet = Fleet(upstream, settings)
    fleet.log_in("acme")
    fleet.round("acme")
    assert f"\nURL:      {upstream.url}v1/[…]/refresh\n" in str(mailoutbox[0].body)
    assert "cret" not in str(mailoutbox[0].body)


# -- keys


OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


class Worker:
    """A process with keys of its own."""

    def __init__(self, settings: Any, *keys: str) -> None:
        self.settings, self.keys = settings, list(keys)

    def call(self) -> int | str:
        if self.settings.JWT_UPSTREAM_ENCRYPTION_KEYS:
            self.settings.JWT_UPSTREAM_ENCRYPTION_KEYS = self.keys
        else:
            self.settings.SECRET_KEY, *self.settings.SECRET_KEY_FALLBACKS = self.keys
        try:
            return UpstreamClient("up").get("orders/").status_code
        except CredentialUnreadable as error:
            return type(error).__name__


@pytest.fixture
def old(upstream: Upstream, settings: Any, transactional_db: None) -> Worker:
    """A worker whose key encrypted the stored tokens."""
    settings.JWT_UPSTREAM_CACHE_SECONDS = 0
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = [OLD]
    UpstreamClient("up").login(username=upstream.user, password=upstream.password)
    return Worker(settings, OLD)


@pytest.mark.parametrize("derived", [False, True])
def test_new_key_behind_first(
    derived: bool, old: Worker, upstream: Upstream, settings: Any, mailoutbox: Mails
) -> None:
    """A key that all workers know behind the old one before it comes first is rotated without one failed call."""
    if derived:
        settings.JWT_UPSTREAM_ENCRYPTION_KEYS, settings.SECRET_KEY = (), OLD
        UpstreamClient("up").login(username=upstream.user, password=upstream.password)
    keys = [(OLD,), (OLD, NEW), (NEW, OLD), (NEW,)]
    for before, after in pairwise(keys):
        for _ in range(2):
            upstream.expire()
            workers = [Worker(settings, *before), Worker(settings, *after)]
            assert [worker.call() for worker in (*workers, *reversed(workers))] == [200] * 4
    assert mailoutbox == []


def test_new_key_in_front(old: Worker, upstream: Upstream, settings: Any, mailoutbox: Mails) -> None:
    """Workers that don't know the new key fail, each for itself, however long; the others work, and nobody is told."""
    new = Worker(settings, NEW, OLD)
    upstream.expire()
    assert new.call() == 200
    for minutes in range(20):
        assert (old.call(), new.call()) == ("CredentialUnreadable", 200), minutes
        pass_time(60)
    assert Credential.objects.get().state == "active"
    assert mailoutbox == []


def test_key_that_is_lost(old: Worker, settings: Any, mailoutbox: Mails) -> None:
    """Admins hear once of tokens that nobody could read for a while, since when, and once that a key reads them."""
    new = Worker(settings, NEW)
    for minutes in range(20):
        assert new.call() == "CredentialUnreadable"
        assert Credential.objects.get().state == ("active" if minutes < 5 else "unreadable")
        pass_time(60)
    assert told(mailoutbox) == ["up/default is unreadable"]
    incident = Incident.objects.get()
    assert incident.opened_at - incident.since >= timedelta(minutes=5)
    assert old.call() == 200
    assert told(mailoutbox)[1:] == ["up/default works again"]
