"""A fleet whose credential needs a human: quiet at once, told of once, and revived everywhere by whatever mends it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import reverse

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import AccountLocked
from jwt_upstream.fields import Encrypted
from jwt_upstream.models import Credential, Event
from tests.support import workers
from tests.support.mails import mailing_to, subjects
from tests.support.upstream import Answer, Upstream
from tests.support.workers import await_ready, go_on, line

pytestmark = pytest.mark.slow

LOCKED = Answer(401, {"code": 401, "message": "Account is disabled."})
REFUSED = Answer(401, {"detail": "Token is invalid or expired", "code": "token_not_valid"})
PROCESSES, THREADS, EACH = 4, 5, 10


def fleet(folder: Path, job: str = "stream") -> list[Any]:
    """Start workers that make 200 calls between them and send their mails to a folder."""
    told: dict[str, Any] = {"threads": THREADS, "count": EACH, "settings": mailing_to(folder)}
    return [workers.start(job, **told) for _ in range(PROCESSES)]


def errors(results: list[Any]) -> list[str]:
    """Return the names of the errors that all calls ended with."""
    return [str(outcome).partition(":")[0] for result in results for _, outcome, *_ in result]


def lock(upstream: Upstream) -> None:
    """Have the account locked at the upstream, and one call find out."""
    upstream.answers["/orders/"] = LOCKED
    with pytest.raises(AccountLocked):
        UpstreamClient("up").get("orders/")
    upstream.seen.clear()


def test_calls_after_the_account_was_locked(client: UpstreamClient, upstream: Upstream, tmp_path: Path) -> None:
    """Once a credential is locked, 200 calls of 4 processes send nothing at all."""
    lock(upstream)
    assert errors(workers.together(*fleet(tmp_path))) == ["AccountLocked"] * 200
    assert (upstream.seen, subjects(tmp_path)) == ([], [])


def test_processes_that_have_cached_the_token(client: UpstreamClient, upstream: Upstream, tmp_path: Path) -> None:
    """A process that used the token a moment ago finds out by one more call, or by looking at the row."""
    started = fleet(tmp_path, "warm_stream")
    await_ready(*started)
    go_on(*started)
    assert [line(worker) for worker in started] == ["warm"] * PROCESSES
    lock(upstream)
    go_on(*started)
    assert errors([workers.finish(worker) for worker in started]) == ["AccountLocked"] * 200
    assert upstream.refreshes == 0
    assert len(upstream.calls("/orders/")) <= PROCESSES * THREADS  # each thread may have begun its first call
    assert (Event.objects.filter(kind="locked").count(), subjects(tmp_path)) == (1, [])


@pytest.mark.parametrize("what", ["locked", "refused"])
def test_fleet_that_finds_out_by_itself(client: UpstreamClient, upstream: Upstream, what: str, tmp_path: Path) -> None:
    """200 calls of a fleet that finds out make at most one refresh, one event and one mail; each thread calls once."""
    upstream.expire()
    upstream.answers["/orders/" if what == "locked" else "/refresh"] = LOCKED if what == "locked" else REFUSED
    outcomes = errors(workers.together(*fleet(tmp_path)))
    assert set(outcomes) == {"AccountLocked" if what == "locked" else "CredentialRejected"}
    assert upstream.refreshes == (0 if what == "locked" else 1)
    assert len(upstream.calls("/orders/")) <= PROCESSES * THREADS
    state = "locked" if what == "locked" else "rejected"
    assert list(Event.objects.order_by("pk").values_list("kind", flat=True)) == ["logged_in", state]
    assert [subject.split()[-1] for subject in subjects(tmp_path)] == [state]


# -- revived


def by_command(upstream: Upstream, monkeypatch: pytest.MonkeyPatch, _: Client) -> None:
    monkeypatch.setenv("JWT_UPSTREAM_USERNAME", upstream.user)
    monkeypatch.setenv("JWT_UPSTREAM_PASSWORD", upstream.password)
    call_command("upstream_login", "up", verbosity=0)


def by_admin(upstream: Upstream, _: Any, browser: Client) -> None:
    data = {"action": "try_again", "_selected_action": [Credential.objects.get().pk]}
    assert browser.post(reverse("admin:jwt_upstream_credential_changelist"), data).status_code == 302


def by_code(upstream: Upstream, *_: Any) -> None:
    UpstreamClient("up").login(username=upstream.user, password=upstream.password)


def by_sql(*_: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jwt_upstream_credential SET state = 'active'")


def by_restored_tokens(upstream: Upstream, *_: Any) -> None:
    pair = upstream.issue()
    sealed = [Encrypted.seal(pair[name]).ciphertext for name in ("access", "refresh")]
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jwt_upstream_credential SET access_token = %s, refresh_token = %s", sealed)


@pytest.mark.parametrize("revive", [by_command, by_admin, by_code, by_sql, by_restored_tokens])
def test_revival(
    client: UpstreamClient,
    upstream: Upstream,
    monkeypatch: pytest.MonkeyPatch,
    admin_client: Client,
    revive: Callable[..., None],
) -> None:
    """The next call of every process works after a login, another try, or a row that was corrected in the database."""
    started = [workers.start("answering") for _ in range(2)]
    await_ready(*started)
    go_on(*started)
    lock(upstream)
    for worker in started:
        go_on(worker)
        assert line(worker).startswith("AccountLocked: ")
    del upstream.answers["/orders/"]
    revive(upstream, monkeypatch, admin_client)
    for worker in started:
        go_on(worker)
        assert line(worker) == "200"
    for worker in started:
        workers.finish(worker)
    assert Credential.objects.get().state == "active"
