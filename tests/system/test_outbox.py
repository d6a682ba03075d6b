"""One outbox and several processes: each message is told once, whoever dies, and none holds up a process's end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jwt_upstream.alerts import deliver
from jwt_upstream.client import UpstreamClient
from jwt_upstream.models import Incident, Notice
from jwt_upstream.store import EventDetails, transitions
from jwt_upstream.testing import logged_in
from tests.support import workers
from tests.support.clock import pass_time
from tests.support.mail_server import MailServer
from tests.support.upstream import Answer, Upstream
from tests.support.workers import await_ready, finish, go_on, together

pytestmark = pytest.mark.slow

PROCESSES, UPSTREAMS, ACCOUNTS = 3, 4, 5
LOCKED = Answer(401, {"message": "Account is disabled."})


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    """A mail server that workers are told of."""
    with MailServer() as server:
        yield server


def lock(account: str, alias: str = "up") -> None:
    """Have an incident opened that is to be told at once."""
    transitions.mark(logged_in(alias, account), "locked", "default", EventDetails("Account is disabled."))


def start(server: MailServer, job: str, **told: Any) -> Any:
    """Start a worker that sends its mails to the server."""
    settings = {**server.settings, **told.pop("settings", {})}
    return workers.start(job, "tests.support.telling_workers", settings=settings, **told)


def test_several_processes(
    upstream: Upstream, transactional_db: None, settings: Any, mail_server: MailServer, tmp_path: Path
) -> None:
    """Processes that deliver the same outbox at the same time tell each incident once between them."""
    for number in range(UPSTREAMS):
        settings.JWT_UPSTREAM[f"up{number}"] = settings.JWT_UPSTREAM["up"]
    started = [start(mail_server, "deliver_until", file=str(tmp_path / "done")) for _ in range(PROCESSES)]
    await_ready(*started)
    go_on(*started)
    for account in range(ACCOUNTS):
        for number in range(UPSTREAMS):
            lock(f"a{account}", f"up{number}")
    workers.until(lambda: Notice.objects.filter(kind="reminder").count() == UPSTREAMS * ACCOUNTS)
    (tmp_path / "done").touch()
    delivered = [finish(worker) for worker in started]
    told = Counter(key for message in mail_server.mails for key in _pages(message))
    assert told == Counter(Incident.objects.values_list("credential_id", flat=True))
    assert sum(delivered) == len(mail_server.mails)


def _pages(message: Any) -> set[int]:
    text = str(message.get_body(("plain",)).get_content())
    return {int(part.split("/")[0]) for part in text.split("/jwt_upstream/credential/")[1:] if part[0].isdigit()}


def test_process_that_dies_while_telling(
    upstream: Upstream, transactional_db: None, settings: Any, mail_server: MailServer
) -> None:
    """What a process was telling when it was killed is told by another after a bounded time, once."""
    for name, value in mail_server.settings.items():
        setattr(settings, name, value)
    lock("ann")
    mail_server.mood = "hangs"
    worker = start(mail_server, "deliver_until", file="/")
    await_ready(worker)
    go_on(worker)
    assert mail_server.asked.acquire(timeout=workers.FOREVER)
    worker.kill()
    worker.communicate()
    mail_server.mood = "takes"
    assert deliver() == 0
    pass_time(31)
    assert [deliver(), deliver()] == [1, 0]
    assert mail_server.subjects == ["up/ann is locked"]


@pytest.mark.parametrize(("mood", "most"), [("takes", 4.0), ("refuses", 4.0), ("hangs", 9.0)])
def test_end_of_a_process(
    mood: str, most: float, client: UpstreamClient, upstream: Upstream, mail_server: MailServer
) -> None:
    """A script that ends right after it met a locked account tells of it, and ends soon whatever happens."""
    upstream.answers["/orders/"] = LOCKED
    mail_server.mood = mood
    worker = start(mail_server, "call_once", settings={"JWT_UPSTREAM_NOTIFY_AFTER_SECONDS": 600})
    (ended_at,) = together(worker)
    assert time.time() - ended_at < most
    assert mail_server.subjects == (["up/default is locked"] if mood == "takes" else [])
    assert [notice.kind for notice in Notice.objects.all()] == (["reminder"] if mood == "takes" else ["opened"])
