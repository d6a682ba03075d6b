"""Logging out: the tokens are forgotten, whatever else happens meanwhile."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection, transaction

from jwt_upstream.client import UpstreamClient
from jwt_upstream.models import Credential, Event
from jwt_upstream.refresh import try_again
from jwt_upstream.store import transitions
from tests.support.upstream import Upstream


def test_log_out_of_nothing(upstream: Upstream, transactional_db: None) -> None:
    """A logout without a credential does nothing."""
    UpstreamClient("up").logout()
    assert not Event.objects.exists()


def test_rows_that_change_meanwhile(client: UpstreamClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A logout is tried again on the row as it is then; trying again goes on from there."""
    overtaken = iter([True, False, True])

    def overtake(write: Any) -> Any:
        return lambda *args, **kwargs: None if next(overtaken) else write(*args, **kwargs)

    monkeypatch.setattr(transitions, "restore", overtake(transitions.restore))
    monkeypatch.setattr(transitions, "log_out", overtake(transitions.log_out))
    assert try_again(Credential.objects.get()).access == "access-2"
    overtaken = iter([True, False])
    client.logout()
    assert Credential.objects.get().state == "logged_out"


@pytest.mark.skipif(connection.vendor == "sqlite", reason="a snapshot of SQLite's keeps every other writer out")
def test_logout_in_a_snapshot(client: UpstreamClient) -> None:
    """A logout ends in a transaction whose snapshot never shows that the row has moved on."""
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        assert Credential.objects.get().generation == 1  # the snapshot is taken

        def refresh() -> None:
            UpstreamClient("up").refresh()
            connection.close()

        thread = threading.Thread(target=refresh)
        thread.start()
        thread.join()
        client.logout()
    assert (Credential.objects.get().state, Credential.objects.get().generation) == ("logged_out", 3)
