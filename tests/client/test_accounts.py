"""Calls of accounts that have a host, a path and a client of their own."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
import responses
from django.core.management import call_command
from django.db import connection

from jwt_upstream.background import refresh_due
from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import (
    AccountMisconfigured,
    CredentialMismatch,
    CredentialRejected,
    CredentialUnreadable,
    ForeignOrigin,
    NotLoggedIn,
    RefreshUnavailable,
    UpstreamNotConfigured,
)
from jwt_upstream.models import Credential, Event
from jwt_upstream.refresh import rebind
from jwt_upstream.store import queries
from tests.support.accounts import ACME, CLIENTS, SECRETS, SHOP, fields, shop
from tests.support.rows import kinds

HOST = "https://acme.shop.example.com"
OWN_REFUSED = "what the account has of its own was refused: .*; store another secret.* --new-secrets"
PAIR = {"access_token": "access-1", "token": "access-1", "refresh_token": "refresh-1", "expires_in": 3600}


@pytest.fixture
def acme(settings: Any, transactional_db: None) -> Any:
    """An account that is registered and logged in, at a server that answers all that it is to ask."""
    settings.JWT_UPSTREAM = shop()
    with responses.RequestsMock(assert_all_requests_are_fired=False) as server:
        server.post(f"{HOST}/eu/login", json=PAIR)
        server.get(f"{HOST}/eu/orders/", json=[1])
        client = UpstreamClient.register("shop", "acme", parameters=ACME, secrets=SECRETS)
        client.login(username="bob", password="correct horse")
        yield server


def test_call(acme: responses.RequestsMock, django_assert_num_queries: Any) -> None:
    """Logins and calls go to the account's own host and path, with its own client; a warm call needs no query."""
    body: Any = acme.calls[0].request.body
    login = json.loads(body)
    assert (login["tenant"], login["client_id"], login["client_secret"]) == ("eu", "acme-app", "acme's client secret")
    client = UpstreamClient("shop", "acme")
    with django_assert_num_queries(1):
        client.get("orders/")
    with django_assert_num_queries(0):
        assert client.get("orders/").json() == [1]
    call = acme.calls[-1].request
    assert call.url == f"{HOST}/eu/orders/"
    assert (call.headers["Authorization"], call.headers["X-Region"]) == ("Bearer access-1", "eu")


def test_other_accounts_host(acme: responses.RequestsMock) -> None:
    """A call to the host of another account is refused, and nothing is sent."""
    number = len(acme.calls)
    with pytest.raises(ForeignOrigin, match=r"on https://acme\.shop\.example\.com"):
        UpstreamClient("shop", "acme").get("https://globex.shop.example.com/eu/orders/")
    assert len(acme.calls) == number


@pytest.mark.parametrize("changed", [{"subdomain": "globex"}, {"region": "us"}])
def test_changed_parameter(acme: responses.RequestsMock, changed: dict[str, str]) -> None:
    """With another parameter the tokens are sent nowhere, whether it is the host or the path; a login ends that."""
    client = UpstreamClient("shop", "acme")
    client.get("orders/")
    number = len(acme.calls)
    UpstreamClient.register("shop", "acme", parameters=changed, by="ann")
    with pytest.raises(CredentialMismatch, match="nothing was sent"):
        client.get("orders/")
    assert len(acme.calls) == number
    event = Event.objects.latest("pk")
    (name, value), before = next(iter(changed.items())), {"subdomain": "acme", "region": "eu"}
    assert (event.kind, event.reason) == ("configured", f"{name} was '{before[name]}' and is '{value}' now")
    assert event.by.startswith("ann (")
    place = {**ACME, **changed}
    url = f"https://{place['subdomain']}.shop.example.com/{place['region']}/"
    acme.post(f"{url}login", json={**PAIR, "token": "access-2"})
    acme.get(f"{url}orders/", json=[2])
    client.login(username="bob", password="correct horse")
    assert client.get("orders/").json() == [2]


def test_confirmed_parameter(acme: responses.RequestsMock) -> None:
    """A person can confirm that the tokens are for the other parameter."""
    UpstreamClient.register("shop", "acme", parameters={"region": "us"})
    acme.get(f"{HOST}/us/orders/", json=[3])
    changes = rebind(Credential.objects.get())
    assert list(map(str, changes)) == ["the parameter region was eu and is us now"]
    assert UpstreamClient("shop", "acme").get("orders/").json() == [3]


def test_parameter_added_later(acme: responses.RequestsMock, settings: Any) -> None:
    """A parameter that is written to the row before settings have it is not missed then; the tokens stay good."""
    Credential.objects.update(parameters={**ACME, "plan": "basic"})
    assert UpstreamClient("shop", "acme").get("orders/").json() == [1]
    own = {**SHOP["ACCOUNTS"], "parameters": ["subdomain", "region", "plan"]}
    settings.JWT_UPSTREAM = shop(ACCOUNTS=own, OPTIONS={**SHOP["OPTIONS"], "api_query": {"plan": "{plan}"}})
    acme.get(f"{HOST}/eu/orders/?plan=basic", json=[2])
    UpstreamClient("shop", "acme").get("orders/")
    assert acme.calls[-1].request.url == f"{HOST}/eu/orders/?plan=basic"


def test_parameter_of_unbound_tokens(acme: responses.RequestsMock) -> None:
    """Tokens that are bound to nothing yet are bound to the parameters that they had when these change."""
    Credential.objects.update(obtained_for={})
    UpstreamClient.register("shop", "acme", parameters={"subdomain": "globex"})
    with pytest.raises(CredentialMismatch, match="the parameter subdomain was acme and is globex now"):
        UpstreamClient("shop", "acme").get("orders/")


def test_row_written_by_sql(acme: responses.RequestsMock) -> None:
    """A value that somebody writes to the database past all forms is refused before anything is sent."""
    number = len(acme.calls)
    for parameters in ({**ACME, "subdomain": "evil.example.net/"}, {"region": "eu"}, ["acme"]):
        Credential.objects.update(parameters=parameters)
        with pytest.raises(AccountMisconfigured, match="shop/acme: nothing was sent: parameter 'subdomain'"):
            UpstreamClient("shop", "acme").get("orders/")
    assert len(acme.calls) == number


def test_unknown_account(settings: Any, db: None) -> None:
    """An account that nobody has registered is told from one without tokens where it is to log in."""
    settings.JWT_UPSTREAM = shop()
    with pytest.raises(NotLoggedIn, match="was never logged in"):
        UpstreamClient("shop", "acme").get("orders/")
    with pytest.raises(AccountMisconfigured, match=r"'subdomain' is missing; set: manage\.py upstream_login shop"):
        UpstreamClient("shop", "acme").login(username="bob", password="x")
    assert not Credential.objects.exists()


def test_lost_key(acme: responses.RequestsMock, settings: Any) -> None:
    """Secrets that no key decrypts are told as tokens that none does, or by themselves where there are no tokens."""
    UpstreamClient.register("shop", "new", parameters=ACME, secrets=SECRETS)
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = ["YW5vdGhlciBrZXkgb2YgdGhpcnR5LXR3byBieXRlcyE="]
    settings.JWT_UPSTREAM_ACCEPT_OLD_VALUES = False
    with pytest.raises(CredentialUnreadable, match="no configured key decrypts the stored tokens"):
        UpstreamClient("shop", "acme").get("orders/")
    with pytest.raises(AccountMisconfigured, match="no configured key decrypts"):
        UpstreamClient("shop", "new").get("orders/")


def test_copied_secrets(acme: responses.RequestsMock) -> None:
    """Secrets that somebody copies from another row by SQL are not sent, even while that account's own are in use."""
    UpstreamClient("shop", "acme").get("orders/")
    Credential.objects.create(upstream="shop", account="copier", parameters=ACME)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE jwt_upstream_credential SET secrets ="
            " (SELECT secrets FROM jwt_upstream_credential WHERE account = 'acme') WHERE account = 'copier'"
        )
    number = len(acme.calls)
    with pytest.raises(AccountMisconfigured, match="another credential's"):
        UpstreamClient("shop", "copier").login(username="bob", password="x")
    assert len(acme.calls) == number


def test_renamed_account(acme: responses.RequestsMock) -> None:
    """Secrets move with a row that is renamed, one by one or many at once, as tokens do."""
    row = Credential.objects.get()
    row.account = "renamed"
    row.save()
    assert UpstreamClient("shop", "renamed").get("orders/").json() == [1]
    Credential.objects.filter(account="renamed").update(account="again")
    assert UpstreamClient("shop", "again").get("orders/").json() == [1]


def test_rekeyed_account(acme: responses.RequestsMock, settings: Any) -> None:
    """Secrets are encrypted with the first key as tokens are, also those of an account that has no tokens."""
    UpstreamClient.register("shop", "new", parameters=ACME, secrets=SECRETS)
    first = "YW5vdGhlciBrZXkgb2YgdGhpcnR5LXR3byBieXRlcyE="
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = [first, *settings.JWT_UPSTREAM_ENCRYPTION_KEYS]
    call_command("upstream_rekey", stdout=io.StringIO())
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = [first]
    settings.JWT_UPSTREAM_ACCEPT_OLD_VALUES = False
    assert [row.secrets.open() for row in Credential.objects.all()] == [
        '{"client_secret": "acme\'s client secret"}'
    ] * 2


def test_two_who_register(acme: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has read the row before another one changed it doesn't undo that change."""
    stale = Credential.objects.get()
    UpstreamClient.register("shop", "acme", parameters={"region": "us"})
    find = queries.find
    read = iter([stale])
    monkeypatch.setattr(queries, "find", lambda *arguments: next(read, None) or find(*arguments))
    UpstreamClient.register("shop", "acme", parameters={"subdomain": "globex"})
    assert Credential.objects.get().parameters == {"subdomain": "globex", "region": "us"}


@responses.activate
def test_settings_changed_in_place(settings: Any, transactional_db: None) -> None:
    """With settings that have changed under a cached token the account's own secret is still what is sent."""
    headers = {"Authorization": "Bearer {access}", "X-Key": "{own_key}"}
    own = {
        "BASE_URL": "https://api.example.com/",
        "OPTIONS": {"api_headers": headers},
        "ACCOUNTS": {"secrets": ["own_key"]},
    }
    settings.JWT_UPSTREAM = {"api": own}
    responses.post("https://api.example.com/login", json=PAIR)
    responses.get("https://api.example.com/me", json={})
    client = UpstreamClient.register("api", "acme", secrets={"own_key": "acme's key"})
    client.login(username="bob", password="x")
    client.get("me")
    headers["X-More"] = "1"  # which no signal tells
    client.get("me")
    sent = responses.calls[-1].request.headers
    assert (sent["X-Key"], sent["X-More"]) == ("acme's key", "1")


@responses.activate
def test_client_of_each_account(settings: Any, transactional_db: None) -> None:
    """An account with a client of its own gets its first token at its first call; a new secret is used at once."""
    settings.JWT_UPSTREAM = {"api": CLIENTS}
    responses.post("https://api.example.com/token", json={**PAIR, "expires_in": 0})
    responses.get("https://api.example.com/me", json={})
    clients = [
        UpstreamClient.register("api", name, parameters={"client": name}, secrets={"client_secret": f"{name}'s"})
        for name in ("acme", "globex")
    ]
    for client in clients:
        client.get("me")
        assert (fields(-2)["client_id"], fields(-2)["client_secret"]) == (client.account, f"{client.account}'s")
    assert kinds() == ["configured", "configured", "refreshed", "refreshed"]


@responses.activate
def test_login_of_each_account(settings: Any, transactional_db: None) -> None:
    """LOGIN is made of each account's own password, which is tried once if it is refused, until it is another one."""
    own = {"parameters": ["subdomain"], "secrets": ["login_password"]}
    login = {"username": "{subdomain}-service", "password": "{login_password}"}
    settings.JWT_UPSTREAM = shop(
        BASE_URL="https://{subdomain}.shop.example.com/", OPTIONS={}, LOGIN=login, ACCOUNTS=own
    )
    responses.post("https://acme.shop.example.com/login", json={"message": "Bad credentials."}, status=401)
    client = UpstreamClient.register(
        "shop", "acme", parameters={"subdomain": "acme"}, secrets={"login_password": "{password}"}
    )
    for _ in range(2):
        with pytest.raises(CredentialRejected, match=OWN_REFUSED):
            client.get("me")
    sent: list[Any] = [call.request.body for call in responses.calls]
    assert list(map(json.loads, sent)) == [{"username": "acme-service", "password": "{password}"}]
    responses.replace("POST", "https://acme.shop.example.com/login", json=PAIR)
    responses.get("https://acme.shop.example.com/me", json={})
    UpstreamClient.register("shop", "acme", secrets={"login_password": "right"})
    assert client.get("me").json() == {}
    # With another host nobody needs to act either, and the old host hears nothing more.
    number = len(responses.calls)
    responses.post("https://globex.shop.example.com/login", json={**PAIR, "token": "access-2"})
    responses.get("https://globex.shop.example.com/me", json={})
    UpstreamClient.register("shop", "acme", parameters={"subdomain": "globex"})
    assert client.get("me").json() == {}
    asked = [str(call.request.url) for call in responses.calls][number:]
    assert asked == ["https://globex.shop.example.com/login", "https://globex.shop.example.com/me"]


@responses.activate
@pytest.mark.parametrize("secrets", [{}, {"login_password": "right"}])
def test_login_that_comes_later(settings: Any, transactional_db: None, secrets: dict[str, str]) -> None:
    """An account that is older than LOGIN logs in once it is registered again; one that was logged out stays so."""
    settings.JWT_UPSTREAM = shop(OPTIONS={}, ACCOUNTS={"parameters": ["subdomain", "region"]})
    client = UpstreamClient.register("shop", "acme", parameters=ACME)
    with pytest.raises(NotLoggedIn):
        client.get("me")
    settings.JWT_UPSTREAM = shop(
        OPTIONS={},
        LOGIN={"username": "{subdomain}", "password": "{login_password}" if secrets else "right"},
        ACCOUNTS={"parameters": ["subdomain", "region"], "secrets": list(secrets)},
    )
    responses.post(f"{HOST}/eu/login", json=PAIR)
    responses.get(f"{HOST}/eu/me", json={})
    UpstreamClient.register("shop", "acme", secrets=secrets)
    assert client.get("me").json() == {}
    assert Event.objects.filter(kind="configured").latest("pk").reason
    client.logout()
    UpstreamClient.register("shop", "acme", parameters=ACME, secrets=dict.fromkeys(secrets, "another"))
    with pytest.raises(NotLoggedIn):
        client.get("me")


@responses.activate
@pytest.mark.parametrize("where", ["OPTIONS", "LOGIN"])
def test_key_of_each_account(settings: Any, transactional_db: None, where: str) -> None:
    """Another key of the account's own is what the next call has."""
    url = "https://api.example.com/"
    keys = {"BACKEND": "jwt_upstream.backends.StaticKeyBackend", "BASE_URL": url, "ACCOUNTS": {"secrets": ["own_key"]}}
    settings.JWT_UPSTREAM = {"api": {**keys, where: {"api_key": "{own_key}"}}}
    responses.get(f"{url}me", json={})
    for key in ("k1", "k2"):
        client = UpstreamClient.register("api", "acme", secrets={"own_key": key})
        client.get("me")
        assert responses.calls[-1].request.headers["Authorization"] == f"Bearer {key}"


@responses.activate
def test_refresh_in_the_background(settings: Any, transactional_db: None) -> None:
    """The background refresh renews each account at its own host, and passes over one whose values are not allowed."""
    settings.JWT_UPSTREAM = shop()
    for name in ("acme", "globex", "evil"):
        UpstreamClient.register("shop", name, parameters={**ACME, "subdomain": name}, secrets=SECRETS)
        responses.post(f"https://{name}.shop.example.com/eu/login", json={**PAIR, "expires_in": 2})
        responses.post(f"https://{name}.shop.example.com/eu/refresh", json=PAIR)
        UpstreamClient("shop", name).login(username="bob", password="x")
    Credential.objects.filter(account="evil").update(parameters={**ACME, "subdomain": "evil.net/"})
    number = len(responses.calls)
    refresh_due()
    asked = [call.request.url for call in responses.calls][number:]
    assert sorted(map(str, asked)) == [f"https://{name}.shop.example.com/eu/refresh" for name in ("acme", "globex")]


@responses.activate
@pytest.mark.parametrize("refusal", [(401, "invalid_client"), (200, "bad_client_secret")])
def test_refused_client_of_one_account(
    settings: Any, transactional_db: None, mailoutbox: list[Any], refusal: tuple[int, str]
) -> None:
    """A refusal of one account's secret is that account's trouble and no other's, until it has another secret."""
    settings.JWT_UPSTREAM = {"api": CLIENTS}
    responses.post("https://api.example.com/token", json={"error": refusal[1]}, status=refusal[0])
    client = UpstreamClient.register("api", "acme", parameters={"client": "a"}, secrets={"client_secret": "wrong"})
    with pytest.raises(CredentialRejected, match=f"api/acme.*{OWN_REFUSED}"):
        client.get("me")
    assert Credential.objects.get().state == "rejected"
    assert ["api/acme" in mail.subject for mail in mailoutbox] == [True]
    responses.replace("POST", "https://api.example.com/token", json=PAIR)
    responses.get("https://api.example.com/me", json={})
    UpstreamClient.register("api", "acme", secrets={"client_secret": "right"})
    assert client.get("me").json() == {}


SECRET, CLIENT = {"secrets": {"client_secret": "new"}}, {"parameters": {"client": "new"}}


@responses.activate
@pytest.mark.parametrize(("status", "change"), [(401, SECRET), (503, SECRET), (401, CLIENT)])
def test_values_that_change_during_a_refresh(
    settings: Any, transactional_db: None, status: int, change: dict[str, Any]
) -> None:
    """What becomes of an attempt with old values says nothing of the new ones, which are tried at once.

    A call that was to go to another place gets none of their tokens; the next one does.
    """
    settings.JWT_UPSTREAM = {"api": CLIENTS}
    client = UpstreamClient.register("api", "acme", parameters={"client": "a"}, secrets={"client_secret": "x"})

    def answer(request: Any) -> tuple[int, dict[str, str], str]:
        if "=new" in request.body:
            return 200, {}, json.dumps(PAIR)
        UpstreamClient.register("api", "acme", **change)
        return status, {}, json.dumps({"error": "invalid_client"})

    responses.add_callback("POST", "https://api.example.com/token", answer)
    responses.get("https://api.example.com/me", json={})
    if change is CLIENT:
        with pytest.raises(RefreshUnavailable, match="parameters have been changed meanwhile; try again"):
            client.get("me")
    assert client.get("me").json() == {}
    assert kinds() == ["configured", "configured", "refreshed"]


def test_deleted_account(acme: responses.RequestsMock) -> None:
    """What an account has of its own is deleted with it, in this process's memory as well."""
    client = UpstreamClient("shop", "acme")
    client.get("orders/")
    Credential.objects.get().delete()
    with pytest.raises(NotLoggedIn):
        client.get("orders/")
    with pytest.raises(AccountMisconfigured, match="'subdomain' is missing"):
        client.login(username="bob", password="x")


def test_upstream_without_accounts(db: None) -> None:
    """Where settings declare nothing, nothing can be registered."""
    with pytest.raises(UpstreamNotConfigured, match=r"'crm'\] has no ACCOUNTS"):
        UpstreamClient.register("crm", "acme", parameters={"subdomain": "acme"})


@responses.activate
def test_refused_key_of_one_account(settings: Any, transactional_db: None) -> None:
    """A key of an account's own that the upstream refuses is to be replaced in the account, and not in OPTIONS."""
    keys = {"BACKEND": "jwt_upstream.backends.StaticKeyBackend", "BASE_URL": "https://api.example.com/"}
    own = {"OPTIONS": {"api_key": "{own_key}"}, "ACCOUNTS": {"secrets": ["own_key"]}}
    settings.JWT_UPSTREAM = {"key": {**keys, **own}}
    responses.get("https://api.example.com/me", status=401)
    client = UpstreamClient.register("key", "acme", secrets={"own_key": "wrong"})
    with pytest.raises(CredentialRejected, match=OWN_REFUSED):
        client.get("me")
