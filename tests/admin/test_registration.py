"""The admin's form for what an account has of its own."""

from __future__ import annotations

from typing import Any

import pytest
import responses
from django.test import Client

from jwt_upstream.client import UpstreamClient
from jwt_upstream.models import Credential, Event
from tests.support.accounts import ACME, SECRETS, shop
from tests.support.admin_pages import LIST, UPSTREAMS, act_url, messages_of, own_page, page, staff

ADD = act_url("register", "shop", None)
GIVEN = {"account": "acme", "parameter_subdomain": "acme", "parameter_region": "eu", "secret_client_secret": "hush-1"}


@pytest.fixture(autouse=True)
def _settings(settings: Any) -> None:
    settings.JWT_UPSTREAM = {
        **shop(),
        "crm": {"BACKEND": "jwt_upstream.backends.Backend", "BASE_URL": "https://c.test/"},
    }


@responses.activate
def test_add(browser: Client) -> None:
    """An upstream's card leads to a form that stores an account; nothing is sent, and no page shows the secret."""
    assert ADD.replace("&", "&amp;") in page(browser, UPSTREAMS)
    assert "https://{subdomain}.shop.example.com/{region}/" in page(browser, ADD)
    response = browser.post(ADD, GIVEN)
    row = Credential.objects.get()
    assert response["Location"] == own_page(row)
    assert messages_of(response) == [("success", "Stored: shop/acme.")]
    assert (row.parameters, row.secrets.open()) == (ACME, '{"client_secret": "hush-1"}')
    shown = page(browser, own_page(row))
    assert "region eu, subdomain acme, client_secret […]" in shown
    assert "hush-1" not in shown
    assert Event.objects.get().by.startswith("admin by root (")
    assert not responses.calls


def test_change(browser: Client) -> None:
    """The form of an account has its parameters, and keeps a secret that isn't typed."""
    UpstreamClient.register("shop", "acme", parameters=ACME, secrets=SECRETS)
    row = Credential.objects.get()
    url = act_url("register", "shop", "acme")
    assert url.replace("&", "&amp;") in page(browser, own_page(row))
    form = page(browser, url)
    assert 'value="acme"' in form
    assert "Leave it empty to keep the one that is stored." in form
    assert SECRETS["client_secret"] not in form
    browser.post(url, {"parameter_subdomain": "acme", "parameter_region": "us", "secret_client_secret": ""})
    row.refresh_from_db()
    assert (row.parameters["region"], row.secrets.open()) == ("us", '{"client_secret": "acme\'s client secret"}')


def test_row_that_is_wrong(browser: Client) -> None:
    """What somebody wrote to the database past the form can be corrected in it."""
    UpstreamClient.register("shop", "acme", parameters=ACME, secrets=SECRETS)
    Credential.objects.update(parameters=["evil"])
    assert "parameter &#x27;subdomain&#x27; is missing" in page(browser, act_url("log-in", "shop", "acme"))
    browser.post(act_url("register", "shop", "acme"), {**GIVEN, "secret_client_secret": ""})
    assert Credential.objects.get().parameters == ACME


def test_refused(browser: Client) -> None:
    """A value that is not allowed is told in the form, without the secret, and nothing is stored."""
    response = browser.post(ADD, {**GIVEN, "parameter_subdomain": "evil.example.net/"})
    assert "must be one label of a host" in response.content.decode()
    assert "hush-1" not in response.content.decode()
    assert not Credential.objects.exists()


def test_name_that_is_taken(browser: Client) -> None:
    """Whoever adds an account by the name of another one is told so, and that one keeps what it has."""
    UpstreamClient.register("shop", "acme", parameters=ACME, secrets=SECRETS)
    response = browser.post(ADD, {**GIVEN, "parameter_region": "us"})
    assert "There is an account of this name: change it on its own page." in response.content.decode()
    assert Credential.objects.get().parameters == ACME


@pytest.mark.parametrize(("permissions", "status"), [(["view_credential"], 403), (["log_in_credential"], 200)])
def test_permission(db: None, permissions: list[str], status: int) -> None:
    """Who may log in may register."""
    assert staff(*permissions).get(ADD).status_code == status


def test_upstream_without_accounts(browser: Client) -> None:
    """Where accounts have nothing of their own there is no form."""
    assert browser.get(act_url("register", "crm", None)).status_code == 404


def test_what_accounts_have(browser: Client) -> None:
    """The card of an upstream lists what accounts have of their own, and the list what is wrong with one."""
    UpstreamClient.register("shop", "acme", parameters=ACME, secrets=SECRETS)
    card = page(browser, UPSTREAMS)
    assert "parameters subdomain, region; secrets client_secret" in card
    assert "https://{subdomain}.shop.example.com/{region}/" in card
    Credential.objects.update(parameters={**ACME, "subdomain": "evil.net/"})
    for url in (LIST, own_page(Credential.objects.get())):
        shown = page(browser, url)
        assert "misconfigured" in shown
        assert "must be one label of a host" in shown
