"""Writing what was observed, or asked for, on a connection of its own: what is raised when the database refuses."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import AccountLocked
from jwt_upstream.models import Credential
from jwt_upstream.refresh import record
from jwt_upstream.store import transitions
from jwt_upstream.tokens import TokenPair
from tests.support.upstream import Answer, Upstream


def refuse(*_: Any, **__: Any) -> None:
    """Ask for a column that is not there, as code does that is newer than the tables."""
    connection.cursor().execute("SELECT no_such_column FROM django_migrations")


def test_observation_that_the_database_refuses(
    client: UpstreamClient, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock that can't be recorded since a column is missing is an error at once, not one of an outage."""
    monkeypatch.setattr(transitions, "mark", refuse)
    upstream.answers["/orders/"] = Answer(401, {"message": "Account is disabled."})
    with pytest.raises(DatabaseError, match="no_such_column"):
        client.get("orders/")


def test_observation_that_has_to_wait(
    client: UpstreamClient, upstream: Upstream, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is told that the account is locked doesn't wait as for a refresh until somebody else's lock is released."""
    monkeypatch.setattr(record, "OBSERVED_SECONDS", 0.1)
    settings.JWT_UPSTREAM_WAIT_SECONDS = 600
    client.get("orders/")
    upstream.answers["/orders/"] = Answer(401, {"message": "Account is disabled."})
    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        Credential.objects.update(username="changed")
        assert isinstance(pool.submit(error_of_a_call, client).result(20), AccountLocked)


def error_of_a_call(client: UpstreamClient) -> BaseException | None:
    """Return what a call raises, in a thread of its own."""
    try:
        client.get("orders/")
    except AccountLocked as error:
        return error
    finally:
        connection.close()
    return None


def test_request_that_the_database_refuses(client: UpstreamClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pair that can't be stored since a column is missing is an error at once, and the old pair stays."""
    monkeypatch.setattr(transitions, "log_in", refuse)
    with pytest.raises(DatabaseError, match="no_such_column"):
        client.adopt(TokenPair("another"))
    assert Credential.objects.get().pair.access == "access-1"
