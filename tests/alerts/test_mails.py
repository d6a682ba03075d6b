"""Mails to the admins: once per transition, fit to be acted upon, and harmless when they can't be sent."""

from __future__ import annotations

import re
import threading
from contextlib import suppress
from typing import Any

import django
import pytest
from django.contrib import admin
from django.contrib.sites.requests import RequestSite
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend
from django.test import override_settings

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import AccountLocked, UpstreamError
from jwt_upstream.models import Credential, Incident
from jwt_upstream.refresh import refresh, try_again
from jwt_upstream.testing import logged_in
from tests.support.upstream import Answer, Upstream

Mails = list[mail.EmailMessage]

DOWN, MISCONFIGURED = Answer(503, {}), Answer(404, {"detail": "Not found."})

#: A project without the admin.
urlpatterns: list[Any] = []


class DeadServer(BaseEmailBackend):
    """Refuses every mail."""

    def send_messages(self, email_messages: Any) -> int:
        raise ConnectionRefusedError("no mail server")


class HangingServer(BaseEmailBackend):
    """Takes mails when it is told to."""

    go_on = threading.Event()

    def send_messages(self, email_messages: Any) -> int:
        self.go_on.wait(10)
        return 0


def use(backend: type[BaseEmailBackend], settings: Any) -> None:
    """Send mails by this backend."""
    path = f"{__name__}.{backend.__name__}"
    if django.VERSION >= (6, 1):
        settings.MAILERS = {"default": {"BACKEND": path}}
    else:
        settings.EMAIL_BACKEND = path


def lock(client: UpstreamClient, upstream: Upstream) -> None:
    """Have a call answered by the recipe's own signal."""
    upstream.answers["/orders/"] = Answer(401, {"code": 401, "message": "Account is disabled."})
    with suppress(UpstreamError):
        client.get("orders/")


def fail(upstream: Upstream, answer: Answer | None, account: str = "default") -> None:
    """Have a refresh answered in this way, without a pause since the last one."""
    upstream.answers.pop("/refresh", None)
    if answer:
        upstream.answers["/refresh"] = answer
    upstream.expire()
    Credential.objects.update(next_attempt_at=None)
    with suppress(UpstreamError):
        UpstreamClient("up", account).get("orders/")


def subjects(mailoutbox: Mails) -> list[str]:
    """Return what the mails are about."""
    return [message.subject.removeprefix("[Django] jwt_upstream: ") for message in mailoutbox]


def timeless(message: mail.EmailMessage) -> str:
    """Return the text as if it had taken no time."""
    return re.sub(r"\b\d+ s\b", "0 s", str(message.body))


# -- credentials


def test_mail_about_a_locked_account(
    client: UpstreamClient, upstream: Upstream, credential: Credential, mailoutbox: Mails
) -> None:
    """The mail says what happened, since when, why, what to do and where; and no token."""
    lock(client, upstream)
    lock(client, upstream)
    (message,) = mailoutbox
    since = Credential.objects.get().since
    assert message.to == ["ops@example.com"]
    assert message.subject == "[Django] jwt_upstream: up/default is locked"
    assert (
        timeless(message)
        == f"""\
up says that the account default is locked or disabled.

Account:  default at up (username {upstream.user})
Since:    {since:%Y-%m-%d %H:%M:%S} UTC (0 s ago)
Reason:   HTTP 401: Account is disabled.

What to do:

Have the account unlocked at the upstream. Then open its page and press "Try
again". Or log in again, on its page or by the command.

Page:     /admin/jwt_upstream/credential/{credential.pk}/change/ in the admin of this project
Command:  manage.py upstream_login up

Until then every call to up with such an account fails at once, and nothing is
sent. You will be reminded once a day, and told when it works again.
"""
    )


def test_mail_when_it_works_again(client: UpstreamClient, upstream: Upstream, mailoutbox: Mails) -> None:
    """One mail says that a credential works again, since when and by what; refreshes after it are no news."""
    lock(client, upstream)
    try_again(Credential.objects.get(), by="admin by ann")
    client.refresh()
    assert subjects(mailoutbox) == ["up/default is locked", "up/default works again"]
    body = timeless(mailoutbox[-1])
    assert body.startswith("The account default at up works again. It was locked for 0 s.\n\nFrom:     2")
    assert "\nReason:   HTTP 401: Account is disabled.\nEnded:    refreshed by " in body


def test_each_failure_is_news(client: UpstreamClient, upstream: Upstream, mailoutbox: Mails) -> None:
    """A credential that fails anew after it worked is told of anew."""
    for _ in range(2):
        lock(client, upstream)
        client.login(username=upstream.user, password=upstream.password)
    assert subjects(mailoutbox) == ["up/default is locked", "up/default works again"] * 2


def test_logging_in_and_out_is_no_news(client: UpstreamClient, upstream: Upstream, mailoutbox: Mails) -> None:
    """What people do on purpose, and refreshes that work, are not mailed."""
    client.refresh()
    client.logout()
    client.login(username=upstream.user, password=upstream.password)
    assert mailoutbox == []


def test_account_with_a_line_break(upstream: Upstream, transactional_db: None, mailoutbox: Mails) -> None:
    """A strange account name, which only another program can have stored, keeps no mail from being sent."""
    row = logged_in("up", "ann")
    Credential.objects.update(account="ann\nBcc: eve@example.com")
    upstream.answers["/refresh"] = Answer(401, {"message": "Account is disabled."})
    row.refresh_from_db()
    with pytest.raises(AccountLocked):
        refresh(row)
    assert subjects(mailoutbox) == ["up/ann\\nBcc: eve@example.com is locked"]
    assert mailoutbox[0].bcc == []


def test_project_without_urls(client: UpstreamClient, upstream: Upstream, settings: Any, mailoutbox: Mails) -> None:
    """A project of workers only, which has no ROOT_URLCONF, gets its mails as well."""
    del settings.ROOT_URLCONF
    lock(client, upstream)
    assert subjects(mailoutbox) == ["up/default is locked"]
    assert "\nPage:" not in mailoutbox[0].body
    assert "\nCommand:  manage.py upstream_login up\n" in mailoutbox[0].body


# -- upstreams


def test_upstream_down(client: UpstreamClient, upstream: Upstream, settings: Any, mailoutbox: Mails) -> None:
    """An upstream that stays down is told of once, however many credentials it has, and once when it is back."""
    settings.JWT_UPSTREAM_OUTAGE_SECONDS = 0
    logged_in("up", "ann", access="other", refresh="refresh-1")
    for _ in range(2):
        fail(upstream, DOWN)
        fail(upstream, DOWN, "ann")
    assert subjects(mailoutbox) == ["upstream up is down"]
    logged_in("up", "ann")
    assert subjects(mailoutbox) == ["upstream up is down"], "adopted tokens are no sign of the upstream"
    fail(upstream, None)
    assert subjects(mailoutbox) == ["upstream up is down", "upstream up works again"]


def test_mails_about_an_upstream(client: UpstreamClient, upstream: Upstream, mailoutbox: Mails) -> None:
    """A misconfiguration is told at once, with what to look at, and its end with how long it lasted."""
    fail(upstream, MISCONFIGURED)
    fail(upstream, None)
    began, ended = map(timeless, mailoutbox)
    assert " ".join(began.split()).startswith(
        "up refuses our requests for new tokens: our settings for it seem to be wrong. "
        "It concerns the only account at up (default). Since: 2"
    )
    assert f"\nURL:      {upstream.url}refresh\nReason:   HTTP 404: Not found.\n" in began
    assert f"\nPage:     /admin/jwt_upstream/incident/{Incident.objects.get().pk}/change/ in the admin" in began
    assert "\nCheck the settings of up in JWT_UPSTREAM" in began
    assert "\nCommand:  manage.py upstream_probe up\n" in began
    assert ended.startswith("up works again. It was misconfigured for 0 s.\n\nFrom:     2")
    assert "\nReason:   HTTP 404: Not found.\n" in ended


def test_short_trouble_is_no_news(client: UpstreamClient, upstream: Upstream, mailoutbox: Mails) -> None:
    """An upstream that is down for less than JWT_UPSTREAM_OUTAGE_SECONDS is nobody's concern."""
    fail(upstream, DOWN)
    assert Incident.objects.get(is_open=True).kind == "down"
    fail(upstream, None)
    assert Incident.objects.get().closed_at is not None
    assert mailoutbox == []


def test_other_cause_is_no_news(client: UpstreamClient, upstream: Upstream, settings: Any, mailoutbox: Mails) -> None:
    """An upstream that is down and misconfigured in turns is told of once; its incident has the latest cause."""
    settings.JWT_UPSTREAM_OUTAGE_SECONDS = 0
    for answer in (DOWN, Answer(502, {}), MISCONFIGURED, DOWN, MISCONFIGURED):
        fail(upstream, answer)
    assert subjects(mailoutbox) == ["upstream up is down"]
    incident = Incident.objects.get()
    assert (incident.kind, incident.reason) == ("misconfigured", "HTTP 404: Not found.")


# -- the link


@pytest.fixture
def sites(client: UpstreamClient, settings: Any) -> Any:
    """The sites framework, with a site in its cache, so that no table is needed; gone before the database is."""
    with override_settings(INSTALLED_APPS=[*settings.INSTALLED_APPS, "django.contrib.sites"], SITE_ID=1):
        from django.contrib.sites import models

        models.SITE_CACHE[1] = models.Site(domain="www.example.org")
        yield models.SITE_CACHE
        models.SITE_CACHE.clear()
        if admin.site.is_registered(models.Site):  # found there by autodiscover, it would break other tests' admin
            admin.site.unregister(models.Site)


def link(mailoutbox: Mails) -> str:
    """Return what the last mail says of the admin's page, without the row's id; "" if it says nothing."""
    lines = [line for line in str(mailoutbox[-1].body).splitlines() if line.startswith("Page:")]
    return "".join(lines).removeprefix("Page:").strip().rpartition("credential/")[0]


def test_link_with_sites(
    sites: Any, client: UpstreamClient, upstream: Upstream, settings: Any, mailoutbox: Mails
) -> None:
    """Where the sites framework knows the host, the link is a full URL: https, but http in DEBUG."""
    lock(client, upstream)
    assert link(mailoutbox) == "https://www.example.org/admin/jwt_upstream/"
    settings.DEBUG = True
    try_again(Credential.objects.get())
    assert link(mailoutbox) == "http://www.example.org/admin/jwt_upstream/"


@pytest.mark.parametrize("site_id", [None, 1])
def test_link_with_sites_that_know_nothing(
    sites: Any, site_id: int | None, client: UpstreamClient, upstream: Upstream, settings: Any, mailoutbox: Mails
) -> None:
    """A site that is not set, or still the example that Django creates, makes no wrong link."""
    settings.SITE_ID = site_id
    sites[1] = RequestSite(type("Request", (), {"get_host": lambda self: "example.com"})())
    lock(client, upstream)
    assert link(mailoutbox) == "/admin/jwt_upstream/"


def test_project_without_admin(client: UpstreamClient, upstream: Upstream, settings: Any, mailoutbox: Mails) -> None:
    """A project without the admin gets its mail all the same."""
    settings.ROOT_URLCONF = __name__
    lock(client, upstream)
    assert (len(mailoutbox), link(mailoutbox)) == (1, "")


# -- mail servers


def test_dead_mail_server(client: UpstreamClient, upstream: Upstream, settings: Any, caplog: Any) -> None:
    """A mail server which is down changes nothing for the caller, and is logged."""
    use(DeadServer, settings)
    lock(client, upstream)
    assert Credential.objects.get().state == "locked"
    assert "notifier jwt_upstream.alerts.mail failed: ConnectionRefusedError: up/default is locked" in caplog.text
