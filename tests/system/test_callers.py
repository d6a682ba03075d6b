"""What the calling transaction did before a refresh, how it was opened, and its isolation level: the whole table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from django.utils import timezone

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import RefreshBlocked
from jwt_upstream.models import Credential
from tests.support.upstream import Upstream

VENDOR = connection.vendor
LEVELS: list[Any] = ["READ COMMITTED"]
if VENDOR == "sqlite":
    LEVELS = ["SERIALIZABLE"]
else:
    LEVELS += [pytest.param(level, marks=pytest.mark.slow) for level in ("REPEATABLE READ", "SERIALIZABLE")]

Work = Callable[[], Any]


class RolledBack(Exception):
    """What ends the caller's transaction."""


@pytest.fixture(params=LEVELS)
def level(request: pytest.FixtureRequest, client: UpstreamClient) -> Iterator[str]:
    """The isolation level of the caller's transactions."""
    told = {
        "postgresql": "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL",
        "mysql": "SET SESSION TRANSACTION ISOLATION LEVEL",
    }.get(VENDOR)
    yield set_level(told, request.param)
    set_level(told, "READ COMMITTED")


def set_level(told: str | None, level: str) -> str:
    if told:
        with connection.cursor() as cursor:
            cursor.execute(f"{told} {level}")
    return level


# -- what it did


def write_another_row() -> None:
    Session.objects.create(session_key="x", expire_date=timezone.now())


DONE: dict[str, Work] = {
    "nothing": lambda: None,
    "read another row": lambda: list(Session.objects.all()),
    "read the credential": Credential.objects.get,
    "wrote another row": write_another_row,
    "locked the credential": lambda: list(Credential.objects.select_for_update()),
    "wrote the credential": lambda: Credential.objects.update(username="changed"),
}


def is_blocked(done: str, how: str, level: str) -> bool:
    """Whether the calling transaction keeps a refresh from being committed, as the page on guarantees says."""
    if how == "on_commit" or done == "nothing":
        return False
    if VENDOR == "sqlite":
        # A reader keeps others from committing; without autocommit Python begins a transaction only to write.
        return how != "without_autocommit" or done.startswith("wrote")
    if done in {"locked the credential", "wrote the credential"}:
        return True
    # Where MariaDB and MySQL lock what they read.
    return done == "read the credential" and (VENDOR, level) == ("mysql", "SERIALIZABLE")


# -- how it was opened


def in_atomic(do: Work, call: Work) -> None:
    with transaction.atomic():
        do()
        call()
        raise RolledBack


def in_savepoints(do: Work, call: Work) -> None:
    with transaction.atomic():
        do()
        with transaction.atomic(), transaction.atomic():
            call()
            raise RolledBack


def without_autocommit(do: Work, call: Work) -> None:
    transaction.set_autocommit(False)
    try:
        do()
        call()
        raise RolledBack
    finally:
        transaction.rollback()
        transaction.set_autocommit(True)


def on_commit(do: Work, call: Work) -> None:
    with transaction.atomic():
        do()
        transaction.on_commit(call)
    raise RolledBack


def in_request(do: Work, call: Work) -> None:
    connection.settings_dict["ATOMIC_REQUESTS"] = True
    try:
        view.work = (do, call)  # type: ignore[attr-defined]
        Client().get("/")
    finally:
        connection.settings_dict["ATOMIC_REQUESTS"] = False


def view(request: HttpRequest) -> HttpResponse:
    """Do and call, and fail in the end."""
    for work in view.work:  # type: ignore[attr-defined]
        work()
    raise RolledBack


urlpatterns = [path("", view)]

# Who is blocked waits for more than half a second, which adds up.
SLOW = [pytest.param(how, marks=pytest.mark.slow) for how in (in_savepoints, without_autocommit, in_request)]
OPENED = [in_atomic, on_commit, *SLOW]


@pytest.mark.parametrize("done", DONE)
@pytest.mark.parametrize("opened", OPENED, ids=lambda opened: opened.__name__)
def test_caller(
    client: UpstreamClient, upstream: Upstream, settings: Any, level: str, opened: Callable[..., None], done: str
) -> None:
    """The caller's rollback undoes no refresh; where its transaction is in the way it is told, with nothing spent."""
    settings.ROOT_URLCONF = __name__
    upstream.expire()
    tokens: list[str] = []
    began = time.monotonic()
    expected = RefreshBlocked if is_blocked(done, opened.__name__, level) else RolledBack
    with pytest.raises(expected):
        opened(DONE[done], lambda: tokens.append(client.get("orders/").json()["token"]))
    if expected is RefreshBlocked:
        assert time.monotonic() - began < 5.0
        assert (tokens, upstream.refreshes, Credential.objects.get().pair.refresh) == ([], 0, "refresh-1")
    else:
        assert (tokens, upstream.refreshes, Credential.objects.get().pair.refresh) == (["access-2"], 1, "refresh-2")
        upstream.expire()
    assert UpstreamClient("up").get("orders/").status_code == 200
    assert upstream.reuses == 0
