"""Refreshing while the caller is in a transaction of its own."""

from __future__ import annotations

import gc
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from django.db import connection, transaction

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import AccountLocked, CredentialRejected, RefreshBlocked
from jwt_upstream.models import Credential, Event
from jwt_upstream.refresh import mark_rejected, rebind, try_again
from jwt_upstream.tokens import TokenPair
from tests.support.database import at_level, is_sqlite
from tests.support.rows import kinds_since_login
from tests.support.upstream import Answer, Upstream


class RolledBack(Exception):
    """What ends the caller's transaction."""


def test_rollback_after_a_refresh(client: UpstreamClient, upstream: Upstream) -> None:
    """The caller's rollback can't undo a refresh: the rotated pair is stored, and works."""
    upstream.expire()
    with pytest.raises(RolledBack), transaction.atomic():
        assert client.get("orders/").status_code == 200
        raise RolledBack
    assert Credential.objects.get().pair.refresh == "refresh-2"
    upstream.expire()
    assert UpstreamClient("up").get("orders/").status_code == 200
    assert upstream.reuses == 0


def test_rollback_of_a_savepoint(client: UpstreamClient, upstream: Upstream) -> None:
    """The rollback of a savepoint, inside a transaction that commits, can't undo a refresh."""
    upstream.expire()
    with transaction.atomic(), pytest.raises(RolledBack), transaction.atomic():
        client.get("orders/")
        raise RolledBack
    assert Credential.objects.get().pair.refresh == "refresh-2"


def test_rollback_after_the_account_was_locked(client: UpstreamClient, upstream: Upstream) -> None:
    """The caller's rollback can't undo what an answer said of the account."""
    upstream.answers["/orders/"] = Answer(401, {"message": "Account is disabled."})
    with pytest.raises(AccountLocked), transaction.atomic():
        client.get("orders/")
    assert Credential.objects.get().state == "locked"


@pytest.mark.parametrize("statement", ["lock", "write"])
def test_caller_holds_the_row(client: UpstreamClient, upstream: Upstream, statement: str) -> None:
    """A caller whose own transaction is in the way is told so, and no refresh token was spent."""
    if is_sqlite and statement == "lock":
        pytest.skip("SQLite has no row locks")
    upstream.expire()
    with transaction.atomic():
        if statement == "lock":
            list(Credential.objects.select_for_update())
        else:
            Credential.objects.update(username="changed")
        with pytest.raises(RefreshBlocked, match="commit first"):
            client.get("orders/")
    assert upstream.refreshes == 0
    assert Credential.objects.get().state == "active"
    assert client.get("orders/").status_code == 200


@pytest.mark.skipif(not is_sqlite, reason="only SQLite has but one writer")
def test_caller_has_written_something_else_on_sqlite(client: UpstreamClient, upstream: Upstream) -> None:
    """On SQLite any write of the caller's is in the way, and it is told."""
    upstream.expire()
    with transaction.atomic():
        Event.objects.create(upstream="x", account="y", kind="refreshed")
        with pytest.raises(RefreshBlocked):
            client.get("orders/")
    assert upstream.refreshes == 0


# Django leaves open what it can't initialize, since the file is locked; Python 3.13 warns of that when collecting it.
@pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")
@pytest.mark.skipif(not is_sqlite, reason="only SQLite has readers wait for a writer")
def test_reader_waits_for_another_writer_on_sqlite(client: UpstreamClient, settings: Any) -> None:
    """A caller in a transaction that has done nothing waits, as any reader does, while another writer commits."""
    settings.JWT_UPSTREAM_CACHE_SECONDS = 0
    with closing(sqlite3.connect(connection.settings_dict["NAME"], check_same_thread=False)) as other:
        other.execute("BEGIN EXCLUSIVE")
        done = threading.Timer(1.0, other.rollback)
        done.start()
        with transaction.atomic():
            assert client.get("orders/").status_code == 200
        done.join()
    gc.collect()


@pytest.mark.skipif(is_sqlite, reason="SQLite has but one writer")
def test_caller_has_written_something_else(client: UpstreamClient, upstream: Upstream) -> None:
    """Other rows that the caller has written are not in the way."""
    upstream.expire()
    with transaction.atomic():
        Event.objects.create(upstream="x", account="y", kind="refreshed")
        assert client.get("orders/").status_code == 200


def test_credential_is_not_committed(upstream: Upstream, transactional_db: None) -> None:
    """A credential which the caller's transaction made, and nobody else can see, is not refreshed."""
    with transaction.atomic():
        Credential.objects.create(upstream="up", state="active", access_token="stale", refresh_token="unspent")
        with pytest.raises(RefreshBlocked):
            UpstreamClient("up").get("orders/")
    assert upstream.refreshes == 0


@pytest.mark.skipif(is_sqlite, reason="SQLite has no row locks")
def test_login_while_the_caller_adds_the_row(upstream: Upstream, transactional_db: None) -> None:
    """A pair whose row the caller's transaction has added is refused soon, and not stored once that is rolled back."""
    began = time.monotonic()
    with transaction.atomic():
        Credential.objects.create(upstream="up")
        with pytest.raises(RefreshBlocked, match="up/default: not stored: the calling transaction"):
            UpstreamClient("up").adopt(TokenPair("another"))
        assert time.monotonic() - began < 5
        transaction.set_rollback(True)
    assert not Credential.objects.exists()


def test_login_while_the_caller_holds_the_row(client: UpstreamClient) -> None:
    """A pair that can't be stored because of the caller's own transaction is an error that says so."""
    with transaction.atomic():
        Credential.objects.update(username="changed")
        with pytest.raises(RefreshBlocked, match="up/default: not stored: the calling transaction"):
            client.adopt(TokenPair("another"))
    assert Credential.objects.get().pair.access == "access-1"


def test_innocent_caller(client: UpstreamClient, upstream: Upstream) -> None:
    """A caller outside of transactions only waits until one that blocks has given up, and is then served."""
    upstream.expire()
    results: list[int] = []
    has_locked, is_asking = threading.Event(), threading.Event()

    def blocking() -> None:
        with pytest.raises(RefreshBlocked), transaction.atomic():
            Credential.objects.update(username="changed")
            has_locked.set()
            is_asking.wait(5)
            UpstreamClient("up").get("orders/")
        connection.close()

    def innocent() -> None:
        has_locked.wait(5)
        threading.Timer(0.1, is_asking.set).start()
        results.append(client.get("orders/").status_code)
        connection.close()

    threads = [threading.Thread(target=work) for work in (blocking, innocent)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert results == [200]
    assert upstream.refreshes == 1


def test_without_autocommit(client: UpstreamClient, upstream: Upstream) -> None:
    """A caller without autocommit is in a transaction all the time; its rollback undoes no refresh either."""
    upstream.expire()
    transaction.set_autocommit(False)
    try:
        assert client.get("orders/").status_code == 200
        transaction.rollback()
    finally:
        transaction.set_autocommit(True)
    assert Credential.objects.get().pair.refresh == "refresh-2"


def test_on_commit(client: UpstreamClient, upstream: Upstream) -> None:
    """A call made when the caller's transaction commits is a call like any other."""
    upstream.expire()
    answers: list[int] = []
    with transaction.atomic():
        transaction.on_commit(lambda: answers.append(client.get("orders/").status_code))
    assert answers == [200]


@pytest.mark.skipif(is_sqlite, reason="SQLite is always serializable")
@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_isolation_levels(client: UpstreamClient, upstream: Upstream, level: str) -> None:
    """At every isolation level the caller gets the new pair, although its snapshot shows the old one."""
    upstream.expire()
    with pytest.raises(RolledBack), at_level(level):
        if level != "SERIALIZABLE" or connection.vendor == "postgresql":  # MySQL's reads lock at this level
            Credential.objects.get()
        assert client.get("orders/").json()["token"] == "access-2"
        raise RolledBack
    assert Credential.objects.get().pair.refresh == "refresh-2"


ACTS: dict[str, tuple[Callable[[Credential], Any], list[str]]] = {
    "log out": (lambda _: UpstreamClient("up").logout(), ["logged_out"]),
    "mark": (lambda row: mark_rejected(row, "stolen"), ["rejected"]),
    "rebind": (rebind, ["rebound"]),
    "try again": (try_again, ["restored", "refreshed"]),
}


@pytest.mark.skipif(is_sqlite, reason="a snapshot of SQLite's keeps every other writer out")
@pytest.mark.parametrize("act", ACTS)
def test_acts_in_a_snapshot(client: UpstreamClient, settings: Any, act: str) -> None:
    """What somebody asks for is done to the row as it is, also in a transaction whose snapshot never shows that."""
    with at_level("REPEATABLE READ"):
        seen = Credential.objects.get()  # the snapshot is taken

        def refresh() -> None:
            UpstreamClient("up").refresh()
            connection.close()

        thread = threading.Thread(target=refresh)
        thread.start()
        thread.join()
        if act == "rebind":
            settings.JWT_UPSTREAM["up"]["OPTIONS"] |= {"client_id": "another"}
        do, expected = ACTS[act]
        do(seen)
    assert kinds_since_login() == ["refreshed", *expected]


@pytest.mark.django_db
def test_inside_a_test_case(upstream: Upstream) -> None:
    """In users' tests everything happens in, and ends with, the test's own transaction."""
    client = UpstreamClient("up")
    client.login(username=upstream.user, password=upstream.password)
    upstream.expire()
    assert client.get("orders/").json()["token"] == "access-2"
    with transaction.atomic():
        upstream.expire()
        assert client.get("orders/").json()["token"] == "access-3"
    upstream.refresh = "gone"
    upstream.expire()
    with pytest.raises(CredentialRejected):
        client.get("orders/")
    assert Credential.objects.get().state == "rejected"


@pytest.mark.django_db
def test_nothing_leaks_into_the_next_test(upstream: Upstream) -> None:
    """A client that outlives a test's transaction has cached nothing that was in it."""
    client = UpstreamClient("up")
    assert not Credential.objects.exists()
    client.adopt(TokenPair("first"))
    upstream.access.add("first")
    client.get("orders/")
    Credential.objects.all().delete()
    client.adopt(TokenPair("second"))
    upstream.access.add("second")
    assert client.get("orders/").json()["token"] == "second"


IN_MEMORY = """
import django
django.setup()
from django.conf import settings
from django.core.management import call_command
call_command("migrate", verbosity=0)
from jwt_upstream.client import UpstreamClient
from tests.support.database import at_level, is_sqlite
from tests.support.rows import kinds_since_login
from tests.support.upstream import Upstream
with Upstream() as upstream:
    settings.JWT_UPSTREAM = {"up": {"BASE_URL": upstream.url, "OPTIONS": {"refresh_fields": {"refresh": "{refresh}"}}}}
    client = UpstreamClient("up")
    client.login(username=upstream.user, password=upstream.password)
    upstream.expire()
    assert client.get("orders/").json()["token"] == "access-2"
print("done")
"""


def test_sqlite_in_memory() -> None:
    """With SQLite in memory, which no other connection can see, the caller's own is used."""
    environment = {**os.environ, "DATABASE_URL": "sqlite://:memory:", "DJANGO_SETTINGS_MODULE": "tests.settings"}
    ran = subprocess.run(
        [sys.executable, "-c", IN_MEMORY], env=environment, capture_output=True, text=True, check=False
    )
    assert ran.stdout == "done\n", ran.stderr
