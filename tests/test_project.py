"""The demo project: its sample upstream is a real one, and its pages show what happens."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.core.mail.backends.filebased import EmailBackend
from django.test import Client as Browser

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import AccountLocked, LoginRejected, RefreshUnavailable
from jwt_upstream.models import Credential
from project.demo.mails import mails
from project.demo.sample import Sample

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("project.urls")]

PASSWORD = "of the sample"


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    """The sample upstream, in a process and a database of its own."""
    told = {
        "SAMPLE_UPSTREAM_DATABASE_URL": f"sqlite:///{tmp_path_factory.mktemp('sample') / 'sample.sqlite3'}",
        "SAMPLE_UPSTREAM_PASSWORD": PASSWORD,
        "SAMPLE_UPSTREAM_ACCESS_SECONDS": "600",
        "SAMPLE_UPSTREAM_REFRESH_DELAY": "0",
        "SAMPLE_UPSTREAM_PASSWORD_HASHER": "django.contrib.auth.hashers.MD5PasswordHasher",
    }
    before = dict(os.environ)
    os.environ |= told
    try:
        with Sample.started() as sample:
            yield sample
    finally:
        os.environ.clear()
        os.environ |= before


@pytest.fixture
def sample(process: Sample, settings: Any, tmp_path: Path) -> Iterator[Sample]:
    """The same, with every switch back where it was, and the project's settings."""
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "project"]
    settings.JWT_UPSTREAM = {
        "sample": {"BACKEND": "jwt_upstream.backends.SimpleJWTBackend", "BASE_URL": process.url},
    }
    settings.SAMPLE_UPSTREAM_USERNAME, settings.SAMPLE_UPSTREAM_PASSWORD = "shop", PASSWORD
    settings.MAIL_FOLDER = str(tmp_path)
    yield process
    process.throw("heal")
    process.throw("unlock")


@pytest.fixture
def client(sample: Sample) -> UpstreamClient:
    """A client which is logged in at the sample upstream."""
    client = UpstreamClient("sample")
    client.login(username="shop", password=PASSWORD)
    return client


def test_rotation(client: UpstreamClient, sample: Sample) -> None:
    """The sample rotates refresh tokens, and refuses one that was used."""
    first = Credential.objects.get().pair
    before = sample.counts()["reused_refresh_tokens"]
    sample.throw("expire")
    assert client.get("orders/").status_code == 200
    assert Credential.objects.get().pair.refresh != first.refresh
    client.adopt(first)
    with pytest.raises(Exception, match="Token is blacklisted"):
        client.get("orders/")
    assert sample.counts()["reused_refresh_tokens"] == before + 1


def test_lifetimes(client: UpstreamClient) -> None:
    """The expiries of simplejwt's tokens are read from their claims."""
    credential = Credential.objects.get()
    assert credential.access_expires_at is not None
    assert credential.refresh_expires_at is not None
    assert 590 < (credential.access_expires_at - credential.since).total_seconds() < 601


def test_wrong_password(sample: Sample) -> None:
    """simplejwt's refusal of a password is a refused login."""
    with pytest.raises(LoginRejected, match="No active account found with the given credentials"):
        UpstreamClient("sample").login(username="shop", password="wrong")


def test_locked_at_a_call(client: UpstreamClient, sample: Sample) -> None:
    """simplejwt's answer to a disabled user's call locks the credential."""
    sample.throw("lock")
    with pytest.raises(AccountLocked, match="User is inactive"):
        client.get("orders/")


def test_locked_at_a_refresh(client: UpstreamClient, sample: Sample) -> None:
    """simplejwt's answer to a disabled user's refresh locks the credential, and spends nothing."""
    sample.throw("lock")
    with pytest.raises(AccountLocked, match="No active account found"):
        client.refresh()
    sample.throw("unlock")
    Credential.objects.update(state="active")
    assert client.refresh().access


def test_broken_refresh(client: UpstreamClient, sample: Sample) -> None:
    """A refresh endpoint that is down costs nothing but time."""
    sample.throw("break")
    sample.throw("expire")
    with pytest.raises(RefreshUnavailable, match="The token service is down"):
        client.get("orders/")
    assert Credential.objects.get().state == "active"


def test_view(client: UpstreamClient) -> None:
    """The view that a project would have hands on what the upstream says."""
    assert [order["number"] for order in Browser().get("/orders/").json()["orders"]] == list(range(1041, 1046))


def page() -> str:
    """Return the live page as it is now."""
    response = Browser().get("/")
    assert response.status_code == 200
    return response.content.decode()


def test_page_in_each_state(sample: Sample) -> None:
    """The page shows the data, the state and what to do, whatever happens."""
    browser = Browser()
    assert "never logged in" in page()
    for action, shown in {
        "login": "Garden table, oak",
        "expire": "refreshed",
        "break": "refresh endpoint broken",
        "heal": "refresh endpoint works",
        "lock": "AccountLocked",
        "unlock": "account open",
    }.items():
        assert browser.post(f"/do/{action}/").status_code == 302
        assert shown in page(), action
    browser.post("/do/login/")
    assert "Garden table, oak" in browser.get("/fragment/").content.decode()


def test_timeline(client: UpstreamClient) -> None:
    """What happens again and again takes one line, so that a page which calls all the time shows what matters."""
    for _ in range(3):
        client.refresh()
    assert "× 3" in page()
    assert "logged in" in page()


def test_failing_since(client: UpstreamClient, sample: Sample) -> None:
    """While refreshing fails, the page says since when it fails, not since when the credential was good."""
    Credential.objects.update(since=datetime(2020, 1, 1, 1, 2, 3, tzinfo=UTC))
    sample.throw("break")
    with pytest.raises(RefreshUnavailable):
        client.refresh()
    assert not re.search(r"since \d\d:02:03", page())


def test_page_without_the_upstream(client: UpstreamClient, settings: Any) -> None:
    """An upstream that is gone is an error on the page, not of the page."""
    settings.JWT_UPSTREAM["sample"]["BASE_URL"] = "http://127.0.0.1:1/api/"
    assert "does not answer" in page()
    browser = Browser()
    assert "Connection" in browser.post("/do/lock/", follow=True).content.decode()


def test_unknown_action(sample: Sample) -> None:
    """The page has no other buttons than those that it shows."""
    assert Browser().post("/do/harm/").status_code == 404


def test_mails(sample: Sample, settings: Any) -> None:
    """The page reads the mails that the file-based backend has left, the newest first."""
    for subjects in (["first"], ["second", "third in the same file"]):
        messages = [
            mail.EmailMessage(subject, "A body.\n\nWith lines.", "us@example.com", ["ops@example.com"])
            for subject in subjects
        ]
        with EmailBackend(file_path=settings.MAIL_FOLDER) as backend:
            backend.send_messages(messages)
    assert [found.subject for found in mails()] == ["third in the same file", "second", "first"]
    assert {found.text for found in mails()} == {"A body.\n\nWith lines."}
