"""What a process remembers of credentials: who shares it, what ends it, and that it stays small."""

from __future__ import annotations

import gc
import os
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import responses
from django.db import connections, transaction
from django.db.models import QuerySet
from django.db.models.signals import post_delete, post_save
from requests.adapters import HTTPAdapter

from jwt_upstream.backends import get_backend
from jwt_upstream.client import UpstreamClient
from jwt_upstream.conf import DEFAULTS
from jwt_upstream.exceptions import CredentialRejected, NotLoggedIn
from jwt_upstream.models import Credential, Event
from jwt_upstream.refresh import hold_token, release_token
from jwt_upstream.refresh.single_flight import Flight
from jwt_upstream.refresh.token_cache import Token, register, token_cache
from jwt_upstream.refresh.token_source import TokenSource
from jwt_upstream.testing import logged_in
from jwt_upstream.tokens import TokenPair
from tests.support import forks
from tests.support.upstream import Upstream

#: The database, and no tenant's schema.
SCOPE = ("default", "")


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    """No test learns from the one before."""
    token_cache().invalidate_all()
    yield
    token_cache()._tokens.clear()


def add(row: Credential, pair: TokenPair) -> Token:
    """Have the cache hold what was read just now."""
    cache = token_cache()
    return cache.add(get_backend(row.upstream), row, pair, cache.validity(SCOPE, row.upstream, row.account))


def test_clients_of_a_process_share_a_look(client: UpstreamClient, django_assert_num_queries: Any) -> None:
    """A client that is built per call asks the database only if no other one did a moment ago."""
    with django_assert_num_queries(1):
        UpstreamClient("up").get("orders/")
    with django_assert_num_queries(0):
        assert UpstreamClient("up").get("orders/").json()["token"] == "access-1"


def test_accounts_share_nothing(client: UpstreamClient, upstream: Upstream) -> None:
    """What is known of one account serves no other."""
    client.get("orders/")
    with pytest.raises(NotLoggedIn):
        UpstreamClient("up", "another").get("orders/")


def update() -> None:
    Credential.objects.update(state="rejected", failed_fingerprint=Credential.objects.get().pair.fingerprint)


def save() -> None:
    row = Credential.objects.get()
    row.account = "another"
    row.save()


def delete() -> None:
    Credential.objects.all().delete()


def log_out() -> None:
    UpstreamClient("up").logout()


@pytest.mark.parametrize("change", [update, save, delete, log_out])
def test_a_change_in_this_process_is_seen_at_once(client: UpstreamClient, change: Callable[[], None]) -> None:
    """A test, a shell or the app itself changes a row: the next call goes by what the database has."""
    UpstreamClient("up").get("orders/")
    change()
    with pytest.raises((CredentialRejected, NotLoggedIn)):
        UpstreamClient("up").get("orders/")


def test_a_look_just_before_the_commit(client: UpstreamClient) -> None:
    """A process that reads the row just before a change is committed goes by the old one no longer than that."""
    known = []

    def call() -> None:
        known.append(UpstreamClient("up").get("orders/").status_code)
        connections.close_all()

    def look(**_: Any) -> None:
        thread = threading.Thread(target=call)
        thread.start()
        thread.join()

    post_save.connect(look, sender=Event)
    try:
        client.logout()
    finally:
        post_save.disconnect(look, sender=Event)
    assert known == [200]
    with pytest.raises(NotLoggedIn):
        UpstreamClient("up").get("orders/")


def test_other_accounts(client: UpstreamClient, upstream: Upstream, django_assert_num_queries: Any) -> None:
    """Whatever happens to one account, the clients of all others go on without a query."""
    another = UpstreamClient("up", "another")
    client.get("orders/")
    another.login(username=upstream.user, password=upstream.password)
    upstream.access.add(Credential.objects.get(account="default").pair.access)
    another.refresh()
    another.logout()
    Credential.objects.filter(account="another").delete()
    upstream.access.add(Credential.objects.get().pair.access)
    with django_assert_num_queries(0):
        assert client.get("orders/").status_code == 200
        assert UpstreamClient("up").get("orders/").status_code == 200


def test_account_that_is_read_while_it_changes(client: UpstreamClient, credential: Credential) -> None:
    """What was read before a change, and is cached after it, is not used."""
    validity = token_cache().validity(SCOPE, "up", "default")
    client.logout()
    known = token_cache().add(get_backend("up"), credential, credential.pair, validity)
    assert not known.is_good
    assert token_cache().find("up", "default") is None


def test_settings_that_change_end_it(client: UpstreamClient, settings: Any) -> None:
    """With other settings a client looks again: they may have another key."""
    client.get("orders/")
    known = token_cache().find("up", "default")
    assert known is not None
    settings.JWT_UPSTREAM_CACHE_SECONDS = 0
    assert token_cache().find("up", "default") is None


def test_no_cache_at_all(client: UpstreamClient, settings: Any, django_assert_num_queries: Any) -> None:
    """With JWT_UPSTREAM_CACHE_SECONDS = 0 every call looks at the row."""
    settings.JWT_UPSTREAM_CACHE_SECONDS = 0
    for _ in range(2):
        with django_assert_num_queries(1):
            client.get("orders/")
    assert not token_cache()._tokens


def test_another_process_is_noticed_in_time(client: UpstreamClient) -> None:
    """What another process wrote, of which nobody tells this one, counts after JWT_UPSTREAM_CACHE_SECONDS."""
    UpstreamClient("up").get("orders/")
    known = token_cache().find("up", "default")
    assert known is not None
    QuerySet.update(Credential.objects.all(), state="rejected", failed_fingerprint=known.row.pair.fingerprint)
    assert UpstreamClient("up").get("orders/").status_code == 200
    key = next(iter(token_cache()._tokens))
    token_cache()._tokens[key] = known._replace(good_until=known.good_until - DEFAULTS["JWT_UPSTREAM_CACHE_SECONDS"])
    with pytest.raises(CredentialRejected):
        UpstreamClient("up").get("orders/")


def test_what_a_transaction_read_is_not_shared(client: UpstreamClient, upstream: Upstream) -> None:
    """A row that only the caller's transaction has, and which may be rolled back, is no news for others."""
    with transaction.atomic():
        client.get("orders/")
    assert not token_cache()._tokens


@pytest.mark.django_db
@responses.activate
def test_what_a_test_stored_is_not_remembered() -> None:
    """Inside a test's transaction nothing is remembered, by clients neither, and nothing recalled."""
    responses.get("https://crm.example.com/api/orders/", json=[])
    row, client = logged_in("crm", access="one"), UpstreamClient("crm")
    known = add(row, row.pair)
    assert not known.is_good
    token_cache()._tokens[("default", ""), "crm", "default"] = known._replace(good_until=known.good_until + 60)
    assert token_cache().find("crm", "default") is None
    client.get("orders/")
    token_cache()._tokens.clear()
    client.get("orders/")
    assert not token_cache()._tokens


def test_cache_is_bounded(client: UpstreamClient, credential: Credential, settings: Any) -> None:
    """A worker that serves any number of accounts caches the last ones only, and none that is over."""
    settings.JWT_UPSTREAM_CACHE_ENTRIES = 10
    for number in range(100):
        row = Credential(upstream="up", account=f"tenant-{number}")
        add(row, credential.pair)
    assert [account for _, _, account in token_cache()._tokens] == [f"tenant-{number}" for number in range(90, 100)]
    token_cache().invalidate_all()
    add(credential, credential.pair)
    assert len(token_cache()._tokens) == 1


def test_the_refresh_token_is_not_remembered(client: UpstreamClient) -> None:
    """Nobody but the refreshing thread needs the refresh token."""
    client.get("orders/")
    known = token_cache().find("up", "default")
    assert known is not None
    assert (known.pair.access, known.pair.refresh) == ("access-1", "")
    assert "access-1" not in repr(known)


def forgotten(source: TokenSource) -> bool:
    return source._last is None and not token_cache()._tokens


@pytest.mark.parametrize("end", [lambda client: client.logout(), lambda _: Credential.objects.all().delete()])
def test_no_token_is_kept_after_its_end(client: UpstreamClient, end: Callable[[UpstreamClient], object]) -> None:
    """What is logged out, or deleted, leaves the memory of the process and of all its clients at once."""
    other = UpstreamClient("up")
    for each in (client, other):
        each.get("orders/")
    assert not forgotten(other._tokens)
    end(client)
    assert forgotten(client._tokens)
    assert forgotten(other._tokens)


def test_change_among_many_clients() -> None:
    """What happens to an account is told to its clients, and to few others: not to those of all accounts in turn."""
    told: list[object] = []

    class Client:
        def forget(self) -> None:
            told.append(self)

    clients = [Client() for _ in range(1000)]
    for number, client in enumerate(clients):
        register(client, str(number))
    token_cache().invalidate(SCOPE, "up", "7")
    assert (clients[7] in told, len(told) < 50) == (True, True)
    token_cache().invalidate_all()
    assert {*clients} <= {*told}


def test_token_that_ends_while_it_is_read(client: UpstreamClient, credential: Credential) -> None:
    """A client whose look at the row was overtaken by a change uses what it has read, and keeps it nowhere."""
    cache = token_cache()
    hold_token(client.backend, "other", TokenPair("held"))
    validity = cache.validity(SCOPE, "up", "default")
    cache.invalidate(SCOPE, "up", "default")
    token = client._tokens._keep(client.backend, credential, credential.pair, validity)
    assert token.pair.access == credential.pair.access
    assert client._tokens._last is None
    assert [account for _, _, account in cache._tokens] == ["other"]


@pytest.mark.slow
def test_a_worker_that_serves_many_accounts_stays_small(
    client: UpstreamClient, credential: Credential, settings: Any
) -> None:
    """Nothing else is kept for each account either: no row, pair, client, flight or connection."""
    settings.JWT_UPSTREAM_CACHE_ENTRIES = 10
    names = [f"tenant-{number}" for number in range(100)]
    tokens = {"access_token": credential.access_token, "refresh_token": credential.refresh_token, "state": "active"}
    Credential.objects.bulk_create(Credential(upstream="up", account=name, **tokens) for name in names)
    kinds = (Credential, TokenPair, UpstreamClient, Flight, HTTPAdapter)
    for name in names[:20]:
        UpstreamClient("up", name).get("orders/")
    before = alive(*kinds)
    for name in names:
        UpstreamClient("up", name).get("orders/")
    assert alive(*kinds) == before


def test_fork_while_another_thread_caches(client: UpstreamClient, credential: Credential) -> None:
    """A forked child waits for no lock of its parent's threads."""
    with token_cache()._lock:
        child = os.fork()
        if not child:
            forks.end_if_it_hangs()
            for signal in (post_save, post_delete):
                signal.send(Credential, instance=credential, using="default", created=False)
            add(credential, credential.pair)
            os._exit(0 if len(token_cache()._tokens) == 1 else 1)
    assert os.waitpid(child, 0)[1] == 0


def alive(*kinds: type) -> list[int]:
    """Count the instances that something still holds."""
    gc.collect()
    instances = gc.get_objects()
    return [sum(type(instance) is kind for instance in instances) for kind in kinds]


def test_memory_of_a_cached_account(client: UpstreamClient, settings: Any) -> None:
    """A cached account costs a process at most 4 KiB besides its access token, however long its refresh token is."""
    settings.JWT_UPSTREAM_CACHE_SECONDS = 1000.0
    clients, size = [UpstreamClient("up", f"a{number}") for number in range(31)], 2000
    for each in clients:
        each.adopt(TokenPair("a" * size, "r" * 5000))
    each._tokens.current(each.backend)  # what is made once
    tracemalloc.start()
    for each in clients[:30]:
        each._tokens.current(each.backend)
    # By what is free when they are gone: other tests' tools keep something of each query.
    gc.collect()
    with_accounts = tracemalloc.get_traced_memory()[0]
    token_cache()._tokens.clear()
    for each in clients:
        each._tokens._last = None
    gc.collect()
    used = (with_accounts - tracemalloc.get_traced_memory()[0]) / 30
    tracemalloc.stop()
    assert size < used < size + 4096


def test_held_token(db: None) -> None:
    """A token that is held is used without a look at the row, also where a test's transaction has all rows."""
    backend = get_backend("crm")
    source = UpstreamClient("crm")._tokens
    hold_token(backend, "default", TokenPair("held", "refresh"))
    for find in (source.current, source.known):
        found = find(backend)
        assert found is not None
        assert (found.pair, found.is_held) == (TokenPair("held"), True)
    release_token("crm", "default")
    with pytest.raises(NotLoggedIn):
        source.current(backend)
