"""The demo project: its sample upstream is a real one, and its pages show what happens."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import requests
from django.contrib.auth.models import User
from django.core import mail
from django.core.mail.backends.filebased import EmailBackend
from django.test import Client as Browser

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import AccountLocked, LoginRejected, RefreshUnavailable
from jwt_upstream.login import BrowserLogin
from jwt_upstream.models import Credential
from project.demo import branches
from project.demo.mails import mails
from project.demo.sample import Sample

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("project.urls")]

PASSWORD, BRANCHES = "of the sample", ["oslo", "porto"]


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    """The sample upstream, in a process and a database of its own."""
    told = {
        "SAMPLE_UPSTREAM_DATABASE_URL": f"sqlite:///{tmp_path_factory.mktemp('sample') / 'sample.sqlite3'}",
        "SAMPLE_UPSTREAM_PASSWORD": PASSWORD,
        "SAMPLE_UPSTREAM_BRANCHES": ",".join(BRANCHES),
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
    options = {
        "grant_type": "authorization_code",
        "authorize_path": "oauth/authorize/",
        "login_path": "oauth/token/",
        "client_id": "shop-app",
        "client_authentication": "post",
    }
    settings.JWT_UPSTREAM = {
        "sample": {"BACKEND": "jwt_upstream.backends.SimpleJWTBackend", "BASE_URL": process.url},
        "partner": {"BACKEND": "jwt_upstream.backends.OAuth2Backend", "BASE_URL": process.url, "OPTIONS": options},
        "tenants": {
            "BACKEND": "jwt_upstream.backends.SimpleJWTBackend",
            "BASE_URL": "http://127.0.0.1:{port}/api/",
            "LOGIN": {"username": "{tenant}", "password": "{login_password}"},
            "ACCOUNTS": {
                "parameters": {"port": {"pattern": "[0-9]{4,5}"}, "tenant": {}},
                "secrets": ["login_password"],
            },
        },
    }
    port = str(urlsplit(process.url).port)
    settings.SAMPLE_UPSTREAM_TENANTS = {name: {"port": port, "password": PASSWORD} for name in BRANCHES}
    settings.SAMPLE_UPSTREAM_BRANCHES = BRANCHES
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


def test_all_accounts(sample: Sample) -> None:
    """Each account has tokens of its own: all are called at once, and each refreshes its own, once."""
    branches.log_in()
    sample.throw("expire")
    assert Browser().get("/orders/all/").json() == {"oslo": "200", "porto": "200"}
    sample.throw("expire")
    told = Browser().post("/do/call/", follow=True).content.decode()
    assert "Called with 2 accounts at once: 2 × 200. Tokens refreshed: 2." in told
    assert "oslo" in told


def signed_in(password: str) -> Browser:
    """Return a browser that opened the address which the terminal shows."""
    browser = Browser()
    browser.get(f"/sign-in/{password}/")
    return browser


def test_new_customer(sample: Sample) -> None:
    """The page's button makes a row of the next customer, whose server answers at once, until there are no more."""
    browser = Browser()
    for name, following in (("oslo", ["A new customer: porto"]), ("porto", [])):
        told = browser.post("/do/sign-up/", follow=True).content.decode()
        assert f"{name} is a row now, and its own server answered with" in told
        assert f"tenants/{name}" in told
        assert re.findall("A new customer: [a-z]+", told) == following
    assert "All customers have signed up." in browser.post("/do/sign-up/", follow=True).content.decode()


def test_sign_in(sample: Sample) -> None:
    """The address that the terminal shows leads into the admin, another one or another machine does not."""
    User.objects.create_superuser("demo", password="of the terminal")
    assert PASSWORD not in page()
    assert signed_in("of the terminal").get("/admin/").status_code == 200
    assert PASSWORD in signed_in("of the terminal").get("/").content.decode()
    assert signed_in("wrong").get("/admin/").status_code == 302
    assert Browser().get("/sign-in/of the terminal/", REMOTE_ADDR="192.0.2.1").status_code == 404


def consented(url: str, **form: str) -> requests.Response:
    """Return what the upstream's page answers to what a person fills in."""
    return requests.post(url, {"username": "shop", "password": PASSWORD, **form}, allow_redirects=False, timeout=5)


def test_login_by_browser(sample: Sample, settings: Any) -> None:
    """A person logs in on the page to which the admin leads, and its tokens are refreshed as all others."""
    User.objects.create_superuser("demo", password="of the terminal")
    settings.JWT_UPSTREAM_SITE_URL = "http://127.0.0.1:1"
    browser = signed_in("of the terminal")
    asked = browser.post("/admin/jwt_upstream/credential/log-in/?upstream=partner", {"account": "ida"})
    assert "shop-app" in requests.get(asked["Location"], timeout=5).text
    assert consented(asked["Location"], password="wrong").status_code == 403
    back = consented(asked["Location"]).headers["Location"]
    assert back.startswith("http://127.0.0.1:1/admin/")
    shown = browser.get(back.removeprefix("http://127.0.0.1:1"), follow=True).content.decode()
    assert "Logged in: partner/ida." in shown
    sample.throw("expire")
    assert UpstreamClient("partner", "ida").get("orders/").json()["account"] == "shop"


def test_consent_denied(sample: Sample) -> None:
    """Who denies is sent back with nothing that is worth anything."""
    begun = BrowserLogin.begin("partner", "ida", "http://127.0.0.1:1/")
    with pytest.raises(LoginRejected, match="access_denied"):
        begun.complete(consented(begun.url, deny="1").headers["Location"])


@pytest.mark.parametrize("change", [{"client_id": "stranger"}, {"redirect_uri": "https://evil.example/"}])
def test_strangers(sample: Sample, change: dict[str, str]) -> None:
    """Nobody is sent to an address that isn't this machine's, nor for a client that isn't known."""
    parts = urlsplit(BrowserLogin.begin("partner", "ida", "http://127.0.0.1:1/").url)
    changed = parts._replace(query=urlencode(dict(parse_qsl(parts.query)) | change)).geturl()
    assert consented(changed).status_code == 400


def test_code_of_a_login(sample: Sample) -> None:
    """A code is good once, and only with the verifier of the login that it belongs to."""
    begun, other = (BrowserLogin.begin("partner", "ida", "http://127.0.0.1:1/") for _ in range(2))
    code = dict(parse_qsl(urlsplit(consented(begun.url).headers["Location"]).query))["code"]
    client = UpstreamClient("partner", "ida")
    with pytest.raises(LoginRejected, match="The code is not good"):
        client.login(code=code, redirect_uri="http://127.0.0.1:1/", code_verifier=other.request.code_verifier)
    with pytest.raises(LoginRejected, match="The code is not good"):
        client.login(code=code, redirect_uri="http://127.0.0.1:1/", code_verifier=begun.request.code_verifier)
