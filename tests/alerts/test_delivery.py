"""Delivering what the outbox holds: by a real mail server, whatever it does, and by notifiers kept from each other."""

from __future__ import annotations

import sys
import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import OperationalError
from requests import HTTPError, Response

from jwt_upstream.alerts import Alert, connect, deliver, delivery, try_notifiers
from jwt_upstream.alerts.notifiers import notify
from jwt_upstream.client import UpstreamClient
from jwt_upstream.clock import host_now
from jwt_upstream.exceptions import UpstreamError
from jwt_upstream.login import login
from jwt_upstream.models import Credential, Notice
from jwt_upstream.store import outbox
from jwt_upstream.testing import logged_in
from tests.alerts.conftest import Lock, join_threads
from tests.support.clock import pass_time
from tests.support.mail_server import MailServer
from tests.support.upstream import Answer, Upstream
from tests.support.workers import until

told: list[Alert] = []
go_on = threading.Event()


def tell(alert: Alert) -> None:
    """Keep what is told."""
    told.append(alert)


async def tell_async(alert: Alert) -> None:
    """Keep what is told, if there is an account to read."""
    await Credential.objects.aget()
    told.append(alert)


def hang(alert: Alert) -> None:
    """Tell nothing until a test goes on."""
    go_on.wait(20)


def fail(alert: Alert) -> None:
    """Raise an error with a secret in its text."""
    raise ValueError("https://chat.example.com/hooks/s3cret")


def leave(alert: Alert) -> None:
    """Raise what no ``except Exception`` catches, as a timeout of gevent's is too."""
    sys.exit("s3cret")


def interrupt(alert: Alert) -> None:
    """Do as if Ctrl-C was pressed."""
    raise KeyboardInterrupt


def refuse(alert: Alert) -> None:
    """Raise what requests does for an answer of the other end."""
    response = Response()
    response.status_code = 503
    raise HTTPError("for url: https://chat.example.com/hooks/s3cret", response=response)


async def refuse_async(alert: Alert) -> None:
    """Raise it once it is awaited."""
    refuse(alert)


@pytest.fixture(autouse=True)
def nothing_told() -> None:
    """Begin anew."""
    told.clear()
    go_on.clear()


# -- a mail server


def test_mail_has_text_and_html(mail_server: MailServer, lock: Lock, settings: Any) -> None:
    """A mail is text and HTML, with a link that works where the site's URL is set, and no token in either."""
    settings.JWT_UPSTREAM_SITE_URL = "https://ops.example.com/"
    (row,) = lock("ann")
    assert deliver() == 1
    (message,) = mail_server.mails
    parts = {part.get_content_type(): str(part.get_content()) for part in message.walk() if not part.is_multipart()}
    link = f"https://ops.example.com/admin/jwt_upstream/credential/{row.pk}/change/"
    assert f"\nPage:     {link}\n" in parts["text/plain"]
    assert f'<a href="{link}">' in parts["text/html"]
    assert "test-access" not in message.as_string()


def test_mail_server_that_refuses(mail_server: MailServer, lock: Lock) -> None:
    """What a mail server refuses is sent once it takes mails again, once, and why not stands in the outbox."""
    mail_server.mood = "refuses"
    lock("ann")
    assert deliver() == 0
    assert Notice.objects.get().error.startswith("SMTPSenderRefused")
    mail_server.mood = "takes"
    assert deliver() == 0, "not before the backoff is over"
    pass_time(40)
    assert [deliver(), deliver()] == [1, 0]
    assert mail_server.subjects == ["up/ann is locked"]


def test_mail_server_that_hangs(mail_server: MailServer, lock: Lock, settings: Any) -> None:
    """A mail server that hangs delays nobody for longer than it may take, and no other notifier at all."""
    settings.JWT_UPSTREAM_NOTIFIERS = ["jwt_upstream.alerts.mail", tell]
    settings.JWT_UPSTREAM_NOTIFIER_SECONDS = 0.3
    mail_server.mood = "hangs"
    lock("ann")
    began = time.monotonic()
    deliver()
    assert time.monotonic() - began < 3
    until(lambda: told)
    assert [alert.subject for alert in told] == ["up/ann is locked"]
    join_threads()
    assert "timed out" in Notice.objects.get(kind="opened").error
    mail_server.mood, settings.JWT_UPSTREAM_NOTIFIER_SECONDS = "takes", 20
    pass_time(40)
    assert deliver() == 1
    assert (mail_server.subjects, len(told)) == (["up/ann is locked"], 1)


def test_many_at_once(mail_server: MailServer, lock: Lock) -> None:
    """Accounts that are locked together are one mail, which names twenty and says how many there are."""
    lock(*(f"tenant-{number:02}" for number in range(23)))
    assert deliver() == 1
    assert mail_server.subjects == ["up: 23 accounts are locked"]
    (message,) = mail_server.mails
    text = str(message.get_body(("plain",)).get_content())  # type: ignore[union-attr]  # it has one
    assert text.count(" has been locked since ") == 20
    assert "\n… and 3 more. All of them: /admin/jwt_upstream/credential/?upstream=up\n" in text
    assert text.count("manage.py upstream_login") == 1


def test_recipients_of_an_upstream(mail_server: MailServer, lock: Lock, settings: Any) -> None:
    """An upstream's own recipients get its mails, in place of the admins; without either there is no mail."""
    settings.JWT_UPSTREAM["up"]["NOTIFY"] = ["sales@example.com"]
    lock("ann")
    deliver()
    del settings.JWT_UPSTREAM["up"]["NOTIFY"]
    settings.ADMINS = []
    lock("bea")
    assert deliver() == 1
    assert [message["To"] for message in mail_server.mails] == ["sales@example.com"]


def test_project_without_templates(mail_server: MailServer, lock: Lock, settings: Any) -> None:
    """A project without a template engine gets its mails as well."""
    settings.TEMPLATES = []
    lock("ann")
    assert deliver() == 1
    assert mail_server.subjects == ["up/ann is locked"]


# -- notifiers


@pytest.mark.parametrize(
    ("notifier", "error"),
    [
        (fail, "ValueError"),
        (leave, "SystemExit"),
        (refuse, "HTTPError: HTTP 503"),
        (refuse_async, "HTTPError: HTTP 503"),
        ("tests.alerts.nowhere.tell", "ModuleNotFoundError"),
        (
            "jwt_upstream.alerts.webhook",
            "UpstreamNotConfigured: JWT_UPSTREAM_WEBHOOK_URL and JWT_UPSTREAM_WEBHOOK_SECRET must be set",
        ),
    ],
)
def test_notifier_that_fails(notifier: Any, error: str, lock: Lock, settings: Any, caplog: Any) -> None:
    """A notifier that fails stops no other, and neither the log nor the outbox has its error's text."""
    settings.JWT_UPSTREAM_NOTIFIERS = [notifier, f"{__name__}.tell"]
    lock("ann")
    assert deliver() == 1
    assert len(told) == 1
    assert Notice.objects.get(kind="opened").error == error
    assert error in caplog.text
    assert "s3cret" not in caplog.text


def test_async_notifier(lock: Lock, settings: Any) -> None:
    """A notifier that is an async function is awaited, and may use the database."""
    settings.JWT_UPSTREAM_NOTIFIERS = [tell_async]
    lock("ann")
    assert deliver() == 1
    assert [alert.subject for alert in told] == ["up/ann is locked"]


def test_what_ended_it(lock: Lock, client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """What is told as the end is what ended it, not what came after that and before somebody was told."""
    settings.JWT_UPSTREAM_NOTIFIERS, settings.JWT_UPSTREAM_NOTIFY_AFTER_SECONDS = [tell], 10
    lock("default")
    deliver(ahead=10)
    login("up", "default", {"username": upstream.user, "password": upstream.password}, by="alice")
    client.refresh()
    deliver(ahead=10)
    assert told[-1].troubles[0].ended_by.startswith("logged in by alice")


def test_interrupted_in_a_test_case(settings: Any) -> None:
    """Where notifiers are called in the main thread, Ctrl-C is nothing that one of them has failed of."""
    settings.JWT_UPSTREAM_NOTIFIERS = [interrupt]
    with pytest.raises(KeyboardInterrupt):
        notify(f"{__name__}.interrupt", Alert("up", "test"))


def test_another_worker_was_faster(lock: Lock, settings: Any) -> None:
    """What another worker has taken after this one looked is left to it."""
    settings.JWT_UPSTREAM_NOTIFIERS = [tell]
    lock("ann")
    group = next(outbox.due([f"{__name__}.tell"], "default"))
    assert outbox.take(group, 30, "default") is not None
    assert not delivery._tell(group, "default", 0.0)
    assert told == []


def test_notifier_that_hangs(lock: Lock, settings: Any) -> None:
    """A notifier that never returns is not called once more, and its message is settled if it does return."""
    settings.JWT_UPSTREAM_NOTIFIERS, settings.JWT_UPSTREAM_NOTIFIER_SECONDS = [hang], 0.2
    lock("ann")
    began = time.monotonic()
    assert deliver(seconds=0.0) == 0
    assert time.monotonic() - began < 5
    until(lambda: Notice.objects.exclude(teller=""))
    lock("bea")
    assert deliver() == 0
    late = {f"{__name__}.hang": "no answer within 0.2 s"}
    assert try_notifiers() == late
    assert sum(thread.name.endswith(".hang") for thread in threading.enumerate()) == 1
    go_on.set()
    join_threads()
    assert dict(Notice.objects.values_list("account", "kind")) == {"ann": "reminder", "bea": "opened"}
    go_on.clear()
    assert try_notifiers() == late
    go_on.set()


def test_test_message(mail_server: MailServer, transactional_db: None, settings: Any) -> None:
    """A test message goes by every notifier, each of which says how that went."""
    settings.JWT_UPSTREAM_NOTIFIERS = ["jwt_upstream.alerts.mail", fail]
    assert try_notifiers() == {"jwt_upstream.alerts.mail": "", f"{__name__}.fail": "ValueError"}
    assert mail_server.subjects == ["test message"]
    assert "Nothing is wrong" in mail_server.mails[0].as_string()


def test_database_that_is_away(lock: Lock, caplog: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes by while the database is away delivers nothing, and raises nothing."""

    def away(*_: Any) -> None:
        raise OperationalError("gone")

    lock("ann")
    monkeypatch.setattr(delivery, "warn_of_client_secrets", away)
    assert deliver() == 0
    assert "what is to be told was not delivered: OperationalError" in caplog.text


def test_end_of_the_process(mail_server: MailServer, lock: Lock, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the interpreter shuts down, and starts no more threads, all is delivered in the caller's."""
    lock("ann")

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    with monkeypatch.context() as patch:
        mail_server.mood = "refuses"  # which takes no thread: the server's are started by the server's own
        patch.setattr(threading.Thread, "start", refuse)
        patch.setattr("socketserver.ThreadingMixIn.process_request", _in_the_same_thread)
        assert deliver() == 0
    assert Notice.objects.get().error.startswith("SMTPSenderRefused")


def _in_the_same_thread(self: Any, request: Any, address: Any) -> None:
    self.finish_request(request, address)
    self.shutdown_request(request)


@pytest.mark.django_db
def test_in_a_test_cases_transaction(upstream: Upstream, settings: Any, mailoutbox: list[mail.EmailMessage]) -> None:
    """In a project's own test case, whose transaction no other thread can read, all is delivered by the caller."""
    outbox.passed.disconnect(dispatch_uid="jwt_upstream.alerts")
    connect()
    logged_in("up")
    upstream.answers["/orders/"] = Answer(401, {"message": "Account is disabled."})
    with pytest.raises(UpstreamError):
        UpstreamClient("up").get("orders/")
    assert [message.subject for message in mailoutbox] == ["[Django] jwt_upstream: up/default is locked"]


# -- expiries


@pytest.mark.parametrize(("days", "subjects"), [(20, []), (9, ["upstream up: replace the client secret before "])])
def test_client_secret_that_expires(
    days: float, subjects: list[str], upstream: Upstream, transactional_db: None, settings: Any
) -> None:
    """A client secret that expires within 14 days, as OPTIONS say, is told of once; one of wrong settings is not."""
    settings.JWT_UPSTREAM_NOTIFIERS = [tell]
    date = (host_now() + timedelta(days=days)).date().isoformat()
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["client_secret_expires_at"] = date
    settings.JWT_UPSTREAM["wrong"] = {"BASE_URL": upstream.url, "OPTIONS": {"client_secret_expires_at": "soon"}}
    for _ in range(3):
        deliver()
    assert [alert.subject for alert in told] == [f"{subject}{date}" for subject in subjects]
    assert all(alert.troubles[0].what_to_do.startswith("Have a new one issued by up") for alert in told)


def test_login_that_ends(lock: Lock, upstream: Upstream, settings: Any) -> None:
    """What is told of a login that ends says whose it is, when, and what to do."""
    settings.JWT_UPSTREAM_NOTIFIERS = [tell]
    rows = [logged_in("up", name) for name in ("ann", "bea")]
    expires_at = host_now() + timedelta(days=3)
    Credential.objects.update(refresh_expires_at=expires_at, username="ann@example.com")
    for row in rows:
        outbox.warn("up", row.account, expires_at, host_now() - timedelta(seconds=1), "default")
    deliver()
    (alert,) = told
    assert (alert.subject, alert.total) == ("up: 2 logins end within days", 2)
    first = alert.troubles[0]
    assert (first.subject, first.until, first.username) == ("up/ann", expires_at, "ann@example.com")
    assert first.command == "manage.py upstream_login up --account ann"
