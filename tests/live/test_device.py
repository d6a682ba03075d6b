"""Device logins at other people's servers, and settings that are made of what these say of themselves."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from jwt_upstream.checks import check_settings
from jwt_upstream.login import device
from jwt_upstream.models import Credential
from tests.live.conftest import Account
from tests.live.pages import Opens, Page
from tests.live.products import OAUTH_TOOLKIT, PRODUCTS, RENEWED, SERVED, products

OIDC_PROVIDER = next(product for product in PRODUCTS if product.name == "oidc-provider")
#: django-oauth-toolkit has an application of its own for each grant; this one is public.
DEVICE_CLIENT = {"client_id": "device", "client_secret": "", "client_authentication": "post"}
DEVICE_OPTIONS: dict[str, dict[str, Any]] = {
    "oidc-provider": {"device_path": "device/auth", "scope": "openid offline_access"},
    "django-oauth-toolkit": DEVICE_CLIENT,
}
CAN = [OIDC_PROVIDER, OAUTH_TOOLKIT]


def confirm(account: Account, shown: str, browser: Opens = Page) -> None:
    """Do what the person does: open the address, enter the code, log in, and consent."""
    page = browser(_address(shown))
    if account.product is OAUTH_TOOLKIT:
        page.submit(username=account.username, password=account.password)
        page.submit(user_code=_code(shown))
        page.submit(action="accept")
        assert "Device Authorized" in page.text
    else:
        page.submit(user_code=_code(shown))
        page.submit(confirm="yes")
        page.submit(login=account.username, password=account.password)
        page.submit()
        assert "Sign-in Success" in page.text


def decline(account: Account, shown: str) -> None:
    """Do what a person does who was not asking for this."""
    page = Page(_address(shown))
    if account.product is OAUTH_TOOLKIT:
        page.submit(username=account.username, password=account.password)
        page.submit(user_code=_code(shown))
        page.submit(action="deny")
    else:
        page.submit(user_code=_code(shown))
        page.submit(abort="yes")


def _address(shown: str) -> str:
    return shown.split()[shown.split().index("code:") + 1]


def _code(shown: str) -> str:
    return shown.split()[shown.split().index("code:") + 2]


@pytest.fixture
def by_device(account: Account, settings: Any) -> Account:
    """An account at a server with a device flow."""
    settings.JWT_UPSTREAM["live"]["OPTIONS"] |= DEVICE_OPTIONS[account.product.name]
    return account


def log_in(account: Account, monkeypatch: pytest.MonkeyPatch, decide: Callable[[Account, str], None]) -> list[float]:
    """Run the command; after the first poll the person decides. Return how long it would have waited."""
    out, waits = io.StringIO(), list[float]()

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            decide(account, out.getvalue())

    monkeypatch.setattr(device, "time", SimpleNamespace(sleep=sleep))
    call_command("upstream_login", "live", "--device", stdout=out)
    return waits


@products(CAN)
def test_device_login(by_device: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person confirms the code in a browser; then calls are served, and refreshes work."""
    waits = log_in(by_device, monkeypatch, confirm)
    assert waits == [5, 5]
    assert by_device.effect(by_device.call) is SERVED
    assert by_device.effect(by_device.client.refresh) is RENEWED
    assert by_device.effect(by_device.call) is SERVED


@products(CAN)
def test_real_browser(by_device: Account, monkeypatch: pytest.MonkeyPatch, chromium: Opens) -> None:
    """The same in Chromium."""
    log_in(by_device, monkeypatch, partial(confirm, browser=chromium))
    assert by_device.effect(by_device.call) is SERVED


@products(CAN)
def test_declined(by_device: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person who declines ends the login, and nothing is stored."""
    with pytest.raises(CommandError, match="the login was declined in the browser"):
        log_in(by_device, monkeypatch, decline)
    assert not Credential.objects.exists()


@products(CAN)
def test_discovered(account: Account, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings that the discovery prints are valid, and log in once the client is filled in."""
    out = io.StringIO()
    prefix = "o" if account.product is OAUTH_TOOLKIT else ""
    call_command("upstream_probe", "live", "--discover", f"{account.server.url}{prefix}", stdout=out)
    block = out.getvalue().partition("An entry for JWT_UPSTREAM:\n\n")[2].partition("\n\n")[0]
    written = eval(f"{{{block}}}", {"env": {"LIVE_CLIENT_SECRET": "its secret: 100%"}.__getitem__})
    settings.JWT_UPSTREAM = written
    assert check_settings() == []
    assert written["live"]["BACKEND"] == account.product.backend
    written["live"]["BASE_URL"] = account.server.url
    written["live"]["OPTIONS"] |= {"client_id": "app", "backoff": 0.01}
    if account.product is OAUTH_TOOLKIT:
        written["live"]["OPTIONS"] |= DEVICE_CLIENT
    log_in(account, monkeypatch, confirm)
    assert account.effect(account.call) is SERVED
    assert account.effect(account.client.refresh) is RENEWED
