"""The views of docs/howto/browser_login.rst, with which each customer connects their own account."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client
from django.urls import path

from jwt_upstream.client import UpstreamClient
from jwt_upstream.models import Credential, Event
from tests.support.admin_pages import messages_of
from tests.support.authorization_server import AuthorizationServer
from tests.support.pages import blocks


@pytest.fixture
def site(drive: AuthorizationServer, transactional_db: None, settings: Any) -> AuthorizationServer:
    """A site that has the views of the page."""
    views: dict[str, Any] = {"__name__": "views"}
    exec(next(block for block in blocks("howto/browser_login.rst", "python") if "def connect(" in block), views)
    urls = ModuleType("urls")
    urls.urlpatterns = [  # type: ignore[attr-defined]  # what Django looks for in such a module
        path("connect/", views["connect"]),
        path("connected/", views["connected"], name="connected"),
        path("", lambda _: HttpResponse("home"), name="home"),
    ]
    settings.ROOT_URLCONF = urls
    return drive


def customer(name: str) -> Client:
    """Return the browser of a customer."""
    browser = Client()
    browser.force_login(User.objects.create(username=name))
    return browser


def led_back(site: AuthorizationServer, browser: Client) -> str:
    """Have a customer begin and log in at the upstream; return where the browser is redirected to."""
    return site.visit(browser.post("/connect/")["Location"]).removeprefix("http://testserver")


def test_customers_connect(site: AuthorizationServer) -> None:
    """Each customer connects an account of their own, and calls go by it."""
    for number, name in enumerate(["ann", "bob"], 1):
        browser = customer(name)
        response = browser.get(led_back(site, browser))
        assert (response["Location"], messages_of(response)) == ("/", [("success", "Connected.")])
        account = f"customer-{User.objects.get(username=name).pk}"
        assert UpstreamClient("drive", account).get("files/").json()["token"] == f"access-{number}"
    assert [event.by.partition(" (")[0] for event in Event.objects.order_by("pk")] == ["site by ann", "site by bob"]


@pytest.mark.parametrize(
    ("returns", "said"),
    [
        ({"state": "other"}, "Not connected: the redirected URL belongs to another login"),
        ({"code": None, "error": "access_denied"}, "Not connected: access was denied, by the person or by the server"),
        ({"iss": "https://evil.example.com"}, "Not connected: the redirected URL comes from another server"),
    ],
)
def test_customer_is_not_connected(site: AuthorizationServer, returns: dict[str, str | None], said: str) -> None:
    """What goes wrong is told to the customer, and nothing is stored."""
    browser = customer("ann")
    site.returns = returns
    ((level, text),) = messages_of(browser.get(led_back(site, browser)))
    assert (level, text.startswith(said)) == ("error", True)
    assert not Credential.objects.exists()


def test_redirect_of_somebody_else(site: AuthorizationServer) -> None:
    """A redirect works once, and in the browser in which the login began; nobody's tokens or login end by it."""
    ann, bob = customer("ann"), customer("bob")
    redirected, bobs = led_back(site, ann), led_back(site, bob)
    for browser, said in [(bob, "belongs to another login"), (ann, ""), (ann, "no login was begun here")]:
        text = messages_of(browser.get(redirected))[-1][1]
        assert said in text
    assert (Credential.objects.count(), len(site.exchanges)) == (1, 1)
    assert messages_of(bob.get(bobs))[-1][1] == "Connected."
    assert ann.get("/connect/").status_code == 405


def test_connecting_with_the_parts(drive: AuthorizationServer, transactional_db: None, capsys: Any) -> None:
    """The parts alone connect an account, as the page says, or say why not."""
    first, _, rest = next(
        block for block in blocks("howto/browser_login.rst", "python") if "authorization_response(" in block
    ).partition("...\n")
    names: dict[str, Any] = {"client": UpstreamClient("drive")}
    for returns in ({}, {"code": None, "error": "access_denied"}):
        drive.returns = returns
        exec(first, names)
        names["redirected_url"] = drive.visit(names["request"].url)
        exec(rest, names)
    assert Credential.objects.get().pair.access == "access-1"
    assert capsys.readouterr().out == "access was denied, by the person or by the server (access_denied)\n"
