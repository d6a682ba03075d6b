"""The admin's pages in a real browser: light and dark, wide and on a phone, by keyboard, without scripts.

The pictures of the documentation are made here; ``make screenshots`` keeps them.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import AccountLocked
from jwt_upstream.models import Credential, Event, Incident
from jwt_upstream.testing import logged_in
from tests.support import site
from tests.support.accounts import ACME, SECRETS, shop
from tests.support.admin_pages import EVENTS, INCIDENTS, LIST, UPSTREAMS, act_url, own_page
from tests.support.authorization_server import AuthorizationServer
from tests.support.chromium import Chromium, require
from tests.support.rows import put
from tests.support.screenshots import keep
from tests.support.upstream import Answer, Upstream

pytestmark = pytest.mark.browser

DESKTOP, PHONE = (1280, 800), (375, 812)
#: The pictures that the documentation shows.
PICTURES = {
    "list-light",
    "list-dark-phone",
    "credential-light",
    "timeline-light",
    "timeline-dark-phone",
    "log-in-light",
    "log-in-by-browser-light",
}
PICTURES |= {"log-out-light", "upstreams-light", "upstreams-dark", "upstreams-light-phone"}


@pytest.fixture
def address(settings: Any, transactional_db: None) -> Iterator[str]:
    """The address of the running site."""
    for name, value in site.SETTINGS.items():
        setattr(settings, name, value)
    with site.served() as address:
        yield address


@pytest.fixture
def chromium(address: str, browser: Client, tmp_path: Path) -> Iterator[Chromium]:
    """A browser in which a superuser is logged in; at the end it must have complained of nothing."""
    with Chromium.started(tmp_path) as chromium:
        chromium.log_in(address, browser.cookies["sessionid"].value)
        yield chromium
        assert chromium.complaints == []


@pytest.fixture
def story(settings: Any, transactional_db: None) -> Credential:
    """Three upstreams, of which one works, one is down, and nobody is logged in at one; a tenant is locked."""
    oauth2 = {"client_id": "shop", "client_secret": "squid-Ink-77", "client_authentication": "post"}
    base = {"BACKEND": "jwt_upstream.backends.OAuth2Backend", "BASE_URL": "https://billing.example.com/"}
    crm = {**settings.JWT_UPSTREAM["crm"], "OPTIONS": {"test_path": "me/", "revoke_path": "logout/"}}
    settings.JWT_UPSTREAM = {**settings.JWT_UPSTREAM, "crm": crm, "billing": {**base, "OPTIONS": oauth2}}
    now = timezone.now()
    worked = {"worked_at": now - timedelta(minutes=4, seconds=5), "refresh_expires_at": now + timedelta(days=12)}
    for account in ("acme", "globex", "initech", "umbrella"):
        put("crm", account, username=f"api@{account}.example.com", **worked)
    since = now - timedelta(hours=5, minutes=2)
    down = {"failures": 7, "failing_since": since, "failure": "HTTP 503: maintenance until noon"}
    put("erp", "default", username="shop", access_expires_at=now - timedelta(hours=4), **down)
    locked = put(
        "crm", "hooli", username="api@hooli.example.com", state="locked", reason=LOCKED, since=since, **worked
    )
    Incident.objects.create(upstream="crm", account="hooli", kind="locked", reason=LOCKED, since=since)
    Incident.objects.create(upstream="erp", kind="down", reason="HTTP 503: maintenance until noon", since=since)
    Event.objects.all().delete()
    Event.objects.bulk_create([*week("crm", "acme", locked=None), *week("crm", "hooli", locked=locked)])
    return locked


LOCKED = "HTTP 403: Your account is locked. Contact support@crm.example.com."


def week(upstream: str, account: str, locked: Credential | None) -> Iterator[Event]:
    """Yield the events of a week: a login, a refresh each hour, some failures, and a lock at the end."""
    now = timezone.now()
    about = {"upstream": upstream, "account": account, "credential": locked, "by": "web-1:4711"}
    yield Event(**about, kind="logged_in", at=now - timedelta(days=7), seconds=0.31)
    for hour in range(6, 165):
        moment = now - timedelta(hours=hour)
        if hour % 31 == 0:
            yield Event(**about, kind="failed", at=moment, reason="HTTP 503: Service Unavailable", seconds=1.2)
        yield Event(**about, kind="refreshed", at=moment, seconds=0.042)
    if locked:
        yield Event(**about, kind="locked", at=now - timedelta(hours=5, minutes=2), reason=LOCKED, seconds=0.038)


#: Each look that somebody may have.
LOOKS = [("light", DESKTOP), ("dark", DESKTOP), ("light", PHONE), ("dark", PHONE)]


def test_looks(chromium: Chromium, address: str, story: Credential) -> None:
    """No page cuts anything off or has a text that is hard to read, in light and in dark, wide and on a phone."""
    incident = Incident.objects.get(account="hooli")
    pages = {
        "list": LIST,
        "credential": own_page(story),
        "upstreams": UPSTREAMS,
        "log-in": act_url("log-in", "crm", "hooli"),
        "adopt": act_url("adopt", "crm", "hooli"),
        "mark-rejected": act_url("mark-rejected", "crm", "acme"),
        "index": "/admin/jwt_upstream/",
        "events": EVENTS,
        "event": f"{EVENTS}{Event.objects.get(kind='locked').pk}/change/",
        "incidents": INCIDENTS,
        "incident": f"{INCIDENTS}{incident.pk}/change/",
    }
    found = {}
    for scheme, size in LOOKS:
        chromium.look_like(scheme, *size)
        for name, url in pages.items():
            chromium.open(f"{address}{url}")
            shown = f"{name}-{scheme}" + ("-phone" if size is PHONE else "")
            found[shown] = problems(chromium)
            if shown in PICTURES:
                keep(shown, chromium)
            if name == "credential" and (timeline := shown.replace(name, "timeline")) in PICTURES:
                keep(timeline, chromium, of=".jwt-upstream-history")
    assert {name: told for name, told in found.items() if told} == {}


def problems(chromium: Chromium) -> list[str]:
    """Return what is cut off, or hard to read, on the page that is shown."""
    return [*chromium.low_contrast("#content"), *chromium.cut_off("#content")]


def test_looks_of_what_is_asked_and_answered(
    chromium: Chromium, address: str, client: UpstreamClient, settings: Any
) -> None:
    """The same holds for pages that a button leads to, a form that was refused, and accounts with their own values."""
    up = settings.JWT_UPSTREAM["up"]
    up["OPTIONS"]["test_path"] = "me/"
    moved = {**up, "OPTIONS": {}}
    settings.JWT_UPSTREAM = {**settings.JWT_UPSTREAM, **shop(), "moved": moved}
    UpstreamClient.register("shop", "acme", parameters=ACME, secrets=SECRETS)
    logged_in("moved")
    moved["OPTIONS"] = {"client_id": "another"}
    found = {}
    for scheme, size in LOOKS:
        chromium.look_like(scheme, *size)
        for account in (None, "acme"):
            chromium.open(f"{address}{act_url('register', 'shop', account)}")
            found["register", account, scheme, size] = problems(chromium)
        for button, (upstream, said) in BUTTONS.items():
            chromium.open(f"{address}{own_page(Credential.objects.get(upstream=upstream))}")
            click(chromium, button)
            assert said in chromium.evaluate("document.querySelector('#content').innerText")
            found[button, upstream, scheme, size] = problems(chromium)
        chromium.open(f"{address}{act_url('adopt', 'up')}")
        chromium.evaluate("document.querySelectorAll('#content [required]').forEach((e) => { e.value = ' x y '; })")
        click(chromium, "Adopt tokens")
        assert chromium.evaluate("document.querySelectorAll('#content .errornote, #content .errorlist').length")
        found["adopt", "refused", scheme, size] = problems(chromium)
    assert {name: told for name, told in found.items() if told} == {}


#: The buttons that lead to a page, where, and what it says.
BUTTONS = {
    "Log out": ("up", "The tokens of this account will be deleted."),
    "Test": ("up", "HTTP 200"),
    "Confirm a move": ("moved", "another"),
}


def click(chromium: Chromium, text: str) -> None:
    """Press a button of the content, and wait for the page it leads to."""
    buttons = "[...document.querySelectorAll('#content :is(button, input[type=submit])')]"
    chromium.evaluate(f"{buttons}.find((button) => [button.textContent, button.value].includes({text!r})).click()")
    chromium.wait_for_page()


def test_operator_mends_it(
    chromium: Chromium, address: str, client: UpstreamClient, upstream: Upstream, mailoutbox: list[Any], settings: Any
) -> None:
    """From the mail's link on, without scripts and by keyboard alone, a locked account works again at once."""
    settings.JWT_UPSTREAM_SITE_URL = address
    upstream.answers["/orders/"] = Answer(401, {"message": "Account is disabled."})
    with pytest.raises(AccountLocked):
        client.get("orders/")
    del upstream.answers["/orders/"]
    began = time.monotonic()
    chromium.without_scripts()
    chromium.look_like("light", *DESKTOP)
    chromium.open(link_in(mailoutbox[0].body))
    press_button(chromium, "Try again")
    assert "Credential up/default works: it has a new token." in chromium.evaluate("document.body.innerText")
    assert client.get("orders/").status_code == 200
    assert time.monotonic() - began < 60


def link_in(text: str) -> str:
    """Return the address of a credential's page that a mail names."""
    return next(word for word in text.split() if word.startswith("http") and "/credential/" in word)


def press_button(chromium: Chromium, text: str) -> None:
    """Go to a button or link with the tab key, and press it."""
    for _ in range(40):
        chromium.press("Tab")
        # In the content, since the admin's header has a button to log out as well.
        if (
            chromium.evaluate("document.activeElement.closest('#content')?.querySelector(':focus').textContent")
            == text
        ):
            break
    else:
        pytest.fail(f"no key leads to {text}")
    assert chromium.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    chromium.press("Enter")
    chromium.wait_for_page()


def test_forms(chromium: Chromium, address: str, client: UpstreamClient, upstream: Upstream) -> None:
    """Log out, its page of losses, and log in again: by keyboard alone, without scripts, with CSRF checked."""
    chromium.without_scripts()
    chromium.look_like("light", *DESKTOP)
    chromium.open(f"{address}{own_page(Credential.objects.get())}")
    press_button(chromium, "Log out")
    losses = chromium.evaluate("document.querySelector('#content').innerText")
    assert "The tokens of this account will be deleted." in losses
    keep("log-out-light", chromium)
    assert problems(chromium) == []
    press_button(chromium, "Log out")
    assert Credential.objects.get().state == "logged_out"
    press_button(chromium, "Log in")
    for _ in range(40):
        chromium.press("Tab")
        if chromium.evaluate("document.activeElement.name") == "login_password":
            break
    chromium.press(*upstream.password)
    chromium.press("Enter")
    chromium.wait_for_page()
    assert Credential.objects.get().state == "active"
    assert upstream.password not in chromium.evaluate("document.documentElement.outerHTML")


def test_login_on_the_upstreams_page(
    chromium: Chromium, address: str, drive: AuthorizationServer, transactional_db: None
) -> None:
    """By keyboard alone, without scripts, to the upstream's own page and back, with CSRF checked."""
    drive.asks = True
    row = put("drive", "acme")
    chromium.without_scripts()
    for scheme, size in reversed(LOOKS):
        chromium.look_like(scheme, *size)
        chromium.open(f"{address}{act_url('log-in', 'drive', 'acme')}")
        assert problems(chromium) == []
    keep("log-in-by-browser-light", chromium)
    press_button(chromium, "Log in")
    assert chromium.evaluate("location.href").startswith(f"{drive.upstream.url}authorize?")
    chromium.press("Tab")
    chromium.press("Enter")
    chromium.wait_for_page()
    assert "Logged in: drive/acme." in chromium.evaluate("document.body.innerText")
    assert chromium.evaluate("location.href") == f"{address}{own_page(row)}"
    assert Credential.objects.get().pair.access == "access-1"


def test_documentation_has_the_pictures() -> None:
    """Each picture that the documentation shows of the admin is one of these, and is there."""
    docs = Path(__file__).parents[2] / "docs"
    shown = set(re.findall("screenshots/(.*)[.]png", (docs / "reference" / "admin.rst").read_text()))
    assert shown == {file.stem for file in (docs / "screenshots").glob("*.png")} - {"demo-light"} == PICTURES


def test_browser_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Chromium the tests are skipped on somebody's own machine, and fail in CI."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install chromium"):
        require()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="apt-get install chromium"):
        require()
