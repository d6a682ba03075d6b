"""A fake upstream whose accounts have addresses of their own."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import async_to_sync

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import AccountLocked, AccountMisconfigured
from jwt_upstream.httpx_auth import AsyncUpstreamClient
from jwt_upstream.models import Credential
from jwt_upstream.testing import FakeUpstream, logged_in
from tests.support.accounts import ACME, CLIENTS, SECRETS, shop

GLOBEX = {"subdomain": "globex", "region": "us"}


@pytest.fixture(autouse=True)
def _settings(settings: Any) -> None:
    settings.JWT_UPSTREAM = shop()


@pytest.fixture
def fake(fake_upstream: Any) -> FakeUpstream:
    """A fake of that upstream, with one canned answer for all accounts."""
    made: FakeUpstream = fake_upstream("shop")
    made.answer("GET", "orders/", json=[1])
    return made


def test_without_a_database(fake: FakeUpstream) -> None:
    """Accounts are called at their own addresses, with one answer for all, in a test without a database."""
    fake.logged_in("acme", parameters=ACME)
    fake.logged_in("globex", parameters=GLOBEX)
    for account in ("acme", "globex"):
        assert UpstreamClient("shop", account).get("orders/").json() == [1]
    assert [(call.url, call.path) for call in fake.calls] == [
        ("https://acme.shop.example.com/eu/orders/", "orders/"),
        ("https://globex.shop.example.com/us/orders/", "orders/"),
    ]


def test_over_httpx(fake: FakeUpstream) -> None:
    """The same for awaited calls."""
    fake.logged_in("acme", parameters=ACME)

    async def call() -> Any:
        async with AsyncUpstreamClient("shop", "acme") as client:
            return (await client.get("orders/")).json()

    assert async_to_sync(call)() == [1]
    assert fake.calls[0].url == "https://acme.shop.example.com/eu/orders/"


def test_states(fake: FakeUpstream, db: None) -> None:
    """States, refreshes and logouts are those of one account, at its own address."""
    fake.logged_in("acme", parameters=ACME)
    fake.logged_in("globex", parameters=GLOBEX)
    fake.expired("acme")
    assert UpstreamClient("shop", "acme").get("orders/").json() == [1]
    assert fake.refreshes == 1
    fake.locked("acme")
    with pytest.raises(AccountLocked):
        UpstreamClient("shop", "acme").get("orders/")
    assert UpstreamClient("shop", "globex").get("orders/").json() == [1]
    assert Credential.objects.get(account="acme").secrets.open() == '{"client_secret": "test-client_secret"}'


def test_registered_account(fake: FakeUpstream, db: None) -> None:
    """An account that is registered already keeps what it has."""
    UpstreamClient.register("shop", "acme", parameters=ACME, secrets=SECRETS)
    fake.logged_in("acme")
    assert UpstreamClient("shop", "acme").get("orders/").json() == [1]
    assert "test-" not in Credential.objects.get().secrets.open()


def test_account_that_signs_up(fake: FakeUpstream, settings: Any, db: None) -> None:
    """An account that the code under test registers, or changes later, is answered at its own address."""
    settings.JWT_UPSTREAM |= {"api": CLIENTS}
    UpstreamClient.register("api", "acme", parameters={"client": "a"}, secrets=SECRETS)  # at another upstream
    fake.logged_in("acme", parameters=ACME)
    client = UpstreamClient.register("shop", "globex", parameters=GLOBEX, secrets=SECRETS)
    client.login(username="bob", password="x")
    assert client.get("orders/").json() == [1]
    UpstreamClient.register("shop", "acme", parameters={"region": "us"})
    client = UpstreamClient("shop", "acme")
    client.login(username="bob", password="x")
    assert client.get("orders/").json() == [1]
    assert [call.url for call in fake.calls] == [
        "https://globex.shop.example.com/us/orders/",
        "https://acme.shop.example.com/us/orders/",
    ]


def test_accounts_that_are_there(db: None) -> None:
    """Accounts that were stored before are known, all but those whose values settings don't allow."""
    for name, parameters in (("acme", ACME), ("globex", GLOBEX)):
        UpstreamClient.register("shop", name, parameters=parameters, secrets=SECRETS)
    Credential.objects.filter(account="globex").update(parameters={})
    logged_in("shop", "acme")
    with FakeUpstream("shop") as fake:
        fake.answer("GET", "orders/", json=[1])
        assert UpstreamClient("shop", "acme").get("orders/").json() == [1]


def test_missing_parameter(fake: FakeUpstream) -> None:
    """A parameter that is left out is an error of the test."""
    with pytest.raises(AccountMisconfigured, match="parameter 'region' is missing"):
        fake.logged_in("acme", parameters={"subdomain": "acme"})
