"""A database that was restored or copied: what old rows do, and how all works again (docs/howto/runbook.rst)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.fernet import Fernet

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import CredentialRejected, CredentialUnreadable
from jwt_upstream.models import Credential, Event
from jwt_upstream.refresh import refresh
from tests.support.commands import run
from tests.support.upstream import Answer, Seen, Upstream

Restore = Callable[[], None]
pytestmark = pytest.mark.slow


@pytest.fixture
def restore(client: UpstreamClient, upstream: Upstream, settings: Any) -> Restore:
    """Take a backup, let two refreshes rotate the tokens, and return what restores the backup."""
    settings.JWT_UPSTREAM_CACHE_SECONDS = 0.0
    columns = [field.attname for field in Credential._meta.concrete_fields]
    backup = Credential.objects.values(*columns).get()
    last_event = Event.objects.latest("pk").pk
    client.refresh()
    client.refresh()
    assert client.get("orders/").json()["token"] == "access-3"
    upstream.seen.clear()

    def restore() -> None:
        Event.objects.filter(pk__gt=last_event).delete()
        Credential.objects.filter(pk=backup["id"]).update(**backup)

    return restore


def test_spent_refresh_token(client: UpstreamClient, upstream: Upstream, restore: Restore) -> None:
    """Where tokens rotate the restored refresh token is spent: one refresh, rejected, and a login mends it."""
    restore()
    with pytest.raises(CredentialRejected):
        client.get("orders/")
    with pytest.raises(CredentialRejected):
        client.get("orders/")
    assert (upstream.refreshes, upstream.reuses) == (1, 1)
    assert run("upstream_status", "up")[::2] == (1, "1 of 1 needs a human.")
    client.login(username=upstream.user, password=upstream.password)
    assert client.get("orders/").status_code == 200


def test_with_login(client: UpstreamClient, upstream: Upstream, restore: Restore, settings: Any) -> None:
    """With LOGIN in the settings nobody has to do anything."""
    settings.JWT_UPSTREAM["up"]["LOGIN"] = {"username": upstream.user, "password": upstream.password}
    restore()
    assert client.get("orders/").status_code == 200
    assert (upstream.reuses, len(upstream.calls("/login"))) == (1, 1)


def test_upstream_that_does_not_rotate(client: UpstreamClient, upstream: Upstream, restore: Restore) -> None:
    """Where refresh tokens stay good a restored one is as good as any."""

    def renew(_: Seen) -> Answer:
        return Answer(200, {"access": upstream.issue()["access"]})

    upstream.answers["/refresh"] = renew
    restore()
    assert client.get("orders/").status_code == 200


def test_tokens_that_are_newer_than_the_backup(client: UpstreamClient, upstream: Upstream, restore: Restore) -> None:
    """If the newer rows can still be read, they are put back, and nothing is lost; adopting the pair does the same."""
    newest = Credential.objects.get().pair
    restore()
    client.adopt(newest)
    assert client.get("orders/").json()["token"] == "access-3"
    assert client.refresh().access == "access-4"
    assert upstream.reuses == 0


def test_refresh_that_is_under_way_during_the_restore(
    client: UpstreamClient, upstream: Upstream, restore: Restore
) -> None:
    """A worker that refreshes while rows are restored can't store its pair: the rows are others by then."""

    def restored_meanwhile(_: Seen) -> Answer:
        restore()
        return Answer(200, upstream.issue())

    upstream.answers["/refresh"] = restored_meanwhile
    row = Credential.objects.get()
    refresh(row)
    assert Credential.objects.get().pair.refresh == "refresh-1"


def test_copy_for_another_site(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """A copy of the database at a site with other keys sends nothing, and spends no token of the original's."""
    keys = settings.JWT_UPSTREAM_ENCRYPTION_KEYS
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    settings.JWT_UPSTREAM_CACHE_SECONDS = 0.0
    settings.JWT_UPSTREAM_ACCEPT_OLD_VALUES = False
    for method in (client.refresh, lambda: client.get("orders/")):
        with pytest.raises(CredentialUnreadable):
            method()
    assert upstream.seen == []
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = keys
    assert client.refresh().access == "access-2"
