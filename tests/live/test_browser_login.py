"""Logins by a browser at other people's servers, whose own pages a person uses to log in and consent."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from jwt_upstream.checks import check_settings
from jwt_upstream.exceptions import LoginRejected
from jwt_upstream.login import BrowserLogin
from jwt_upstream.management.browser_login import Loopback
from jwt_upstream.models import Credential
from tests.live.conftest import Account
from tests.live.pages import SECONDS, Opens, Page
from tests.live.products import OAUTH_TOOLKIT, PRODUCTS, RENEWED, SERVED, products
from tests.support.commands import Told

OIDC_PROVIDER = next(product for product in PRODUCTS if product.name == "oidc-provider")
CAN = [OIDC_PROVIDER, OAUTH_TOOLKIT]
OPTIONS: dict[str, dict[str, Any]] = {
    # It gives no refresh token unless somebody was asked for it.
    "oidc-provider": {
        "authorize_path": "auth",
        "authorize_params": {"prompt": "consent"},
        "scope": "openid offline_access",
        "requires_iss": True,
    },
    # It has an application of its own for each grant.
    "django-oauth-toolkit": {"client_id": "browser", "scope": "read"},
}


@pytest.fixture
def by_browser(account: Account, settings: Any) -> Account:
    """An account at a server with a page to log in on."""
    options = settings.JWT_UPSTREAM["live"]["OPTIONS"]
    options |= {"grant_type": "authorization_code", **OPTIONS[account.product.name]}
    options.pop("login_fields", None)
    if options.get("requires_iss"):
        options["issuer"] = account.server.url.rstrip("/")
    assert check_settings() == []
    return account


@pytest.fixture
def port() -> int:
    """A port that is free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def consent(account: Account, url: str, browser: Opens = Page) -> None:
    """Log in on the server's page, and consent on the next."""
    page = browser(url)
    if account.product is OAUTH_TOOLKIT:
        page.submit(username=account.username, password=account.password)
        page.submit(allow="Authorize")
    else:
        page.submit(login=account.username, password=account.password)
        page.submit()
    assert "The answer has arrived." in page.text


def decline(account: Account, url: str, browser: Opens = Page) -> None:
    """Log in on the server's page, and decline on the next."""
    page = browser(url)
    if account.product is OAUTH_TOOLKIT:
        page.submit(username=account.username, password=account.password)
        page.submit()
    else:
        page.submit(login=account.username, password=account.password)
        page.follow("[ Cancel ]")


def consent_again(account: Account, url: str, browser: Opens) -> None:
    """Consent in a browser that has logged in at the server before."""
    page = browser(url)
    page.submit(**({"allow": "Authorize"} if account.product is OAUTH_TOOLKIT else {}))
    assert "The answer has arrived." in page.text


def log_in(account: Account, port: int, decide: Callable[[Account, str], None]) -> None:
    """Run the command, whose URL a person opens."""
    told = Told(lambda url: decide(account, url))
    try:
        arguments = ["--browser", "--port", str(port), "--no-open", "--timeout", str(SECONDS)]
        call_command("upstream_login", "live", *arguments, stdout=told)
    finally:
        told.thread.join(SECONDS)


@products(CAN)
def test_login(by_browser: Account, port: int) -> None:
    """A person logs in and consents, with PKCE; then calls are served, and refreshes work."""
    log_in(by_browser, port, consent)
    assert by_browser.effect(by_browser.call) is SERVED
    assert by_browser.effect(by_browser.client.refresh) is RENEWED
    assert by_browser.effect(by_browser.call) is SERVED


@products(CAN)
def test_real_browser(by_browser: Account, port: int, chromium: Opens) -> None:
    """In Chromium a person declines first, and consents at the next login."""
    with pytest.raises(CommandError, match="access was denied, by the person or by the server"):
        log_in(by_browser, port, partial(decline, browser=chromium))
    assert not Credential.objects.exists()
    log_in(by_browser, port, partial(consent_again, browser=chromium))
    assert by_browser.effect(by_browser.call) is SERVED
    assert by_browser.effect(by_browser.client.refresh) is RENEWED


@products(CAN)
def test_declined(by_browser: Account, port: int) -> None:
    """A person who declines ends the login, and nothing is stored."""
    with pytest.raises(CommandError, match="access was denied, by the person or by the server"):
        log_in(by_browser, port, decline)
    assert not Credential.objects.exists()


def came_back(account: Account, begun: BrowserLogin) -> str:
    """Have a person consent; return where the browser was redirected to."""
    with Loopback(begun.request.redirect_uri, begun.is_answered_by) as loopback:
        thread = threading.Thread(target=consent, args=(account, begun.url))
        thread.start()
        redirected = loopback.wait(SECONDS)
        thread.join(SECONDS)
    return redirected


@products(CAN)
def test_code_that_is_not_ours(by_browser: Account, port: int) -> None:
    """A code works with its own verifier only, and only once."""
    first, second = (BrowserLogin.begin("live", "default", f"http://127.0.0.1:{port}/") for _ in range(2))
    redirected = came_back(by_browser, first)
    with pytest.raises(LoginRejected, match="belongs to another login"):
        second.complete(redirected)
    with pytest.raises(LoginRejected, match=r"invalid_grant|grant request is invalid"):
        second.complete(redirected.replace(first.request.state, second.request.state))
    assert not Credential.objects.exists()
    second = BrowserLogin.begin("live", "default", f"http://127.0.0.1:{port}/")
    redirected = came_back(by_browser, second)
    pair = second.complete(redirected).pair
    with pytest.raises(LoginRejected):
        second.complete(redirected)
    assert by_browser.credential.pair == pair


@products([OIDC_PROVIDER])
def test_issuer(by_browser: Account, port: int, settings: Any) -> None:
    """oidc-provider names itself in every redirect; one that names another server is refused."""
    settings.JWT_UPSTREAM["live"]["OPTIONS"]["issuer"] = "https://other.example.com"
    with pytest.raises(CommandError, match="the redirected URL comes from another server: its iss"):
        log_in(by_browser, port, consent)
    assert not Credential.objects.exists()
