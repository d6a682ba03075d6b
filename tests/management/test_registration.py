"""manage.py upstream_login for accounts that have parameters and secrets of their own."""

from __future__ import annotations

import getpass
import json
import sys
from typing import Any

import pytest
import responses

from jwt_upstream.backends import get_backend
from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import CredentialRejected
from jwt_upstream.models import Credential, Event
from tests.support.accounts import ACME, CLIENTS, fields, shop
from tests.support.commands import Terminal, login, refused

PAIR = {"access_token": "access-1", "token": "access-1", "refresh_token": "refresh-1"}
KEYS: dict[str, Any] = {
    "BACKEND": "jwt_upstream.backends.StaticKeyBackend",
    "BASE_URL": "https://api.example.com/",
    "OPTIONS": {"api_key": "{own_key}"},
    "ACCOUNTS": {"secrets": ["own_key"]},
}
SET = ("--set", "subdomain=acme", "--set", "region=eu")
LOGIN = "https://acme.shop.example.com/eu/login"


@pytest.fixture(autouse=True)
def _settings(settings: Any, db: None) -> None:
    settings.JWT_UPSTREAM = {**shop(), "api": CLIENTS}


@responses.activate
def test_login(stdin: Any) -> None:
    """Parameters are options, and secrets lines of standard input, before the password's; then it logs in."""
    responses.post(LOGIN, json=PAIR)
    stdin("own secret\ncorrect horse\n")
    out = login("shop", "--account", "acme", *SET, "--username", "bob", "--password-stdin")
    assert out.startswith("shop/acme: logged in as bob.")
    sent: Any = responses.calls[0].request.body
    assert (json.loads(sent)["client_secret"], json.loads(sent)["pass"]) == ("own secret", "correct horse")
    row = Credential.objects.get()
    assert (row.parameters, row.secrets.open()) == (ACME, '{"client_secret": "own secret"}')
    assert Event.objects.filter(kind="configured", by__startswith="upstream_login by ").exists()
    stdin("correct horse\n")
    assert "logged in" in login("shop", "--account", "acme", "--username", "bob", "--password-stdin")
    assert Event.objects.filter(kind="configured").count() == 1, "nothing is to be stored again"


@responses.activate
def test_stored_secrets(stdin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets that are stored are not asked for again, unless that is asked for; one parameter may be set alone."""
    stdin("own secret\n")
    assert login("shop", "--account", "acme", *SET, "--no-login", "--password-stdin") == (
        "shop/acme: stored. Nothing was sent.\n"
    )
    assert login("shop", "--account", "acme", "--set", "region=us", "--no-login").startswith("shop/acme: stored.")
    monkeypatch.setenv("JWT_UPSTREAM_CLIENT_SECRET", "another")
    login("shop", "--account", "acme", "--new-secrets", "--no-login")
    reasons = list(Event.objects.order_by("pk").values_list("reason", flat=True))
    assert reasons == [
        "registered: subdomain is 'acme', region is 'eu'",
        "region was 'eu' and is 'us' now",
        "client_secret was replaced",
    ]
    row = Credential.objects.get()
    assert (row.parameters["region"], row.secrets.open()) == ("us", '{"client_secret": "another"}')
    assert not responses.calls


@responses.activate
def test_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """At a terminal secrets are asked for unseen; an account with a client of its own logs in with nothing else."""
    monkeypatch.setattr(sys, "stdin", Terminal())
    asked: list[str] = []

    def typed(prompt: str) -> str:
        asked.append(prompt)
        return "own secret"

    monkeypatch.setattr(getpass, "getpass", typed)
    responses.post("https://api.example.com/token", json=PAIR)
    assert login("api", "--account", "acme", "--set", "client=a").startswith("api/acme: logged in.")
    assert (asked, fields(0)["client_secret"]) == (["Client secret: "], "own secret")


@responses.activate
def test_own_login(stdin: Any, settings: Any) -> None:
    """A password of the account's own is what its login takes, and nobody is asked for one."""
    settings.JWT_UPSTREAM = shop(
        BASE_URL="https://{subdomain}.shop.example.com/",
        OPTIONS={},
        LOGIN={"username": "{subdomain}", "password": "{login_password}"},
        ACCOUNTS={"parameters": ["subdomain"], "secrets": ["login_password"]},
    )
    responses.post("https://acme.shop.example.com/login", json=PAIR)
    stdin("own password\n")
    assert "logged in" in login("shop", "--account", "acme", "--set", "subdomain=acme", "--password-stdin")
    sent: Any = responses.calls[0].request.body
    assert json.loads(sent) == {"username": "acme", "password": "own password"}


@responses.activate
@pytest.mark.parametrize("alias", ["shop", "api", "key"])
def test_own_values_that_were_refused(stdin: Any, settings: Any, alias: str) -> None:
    """A refused password, client or key of the account's own is not sent again unasked; another one is the remedy."""
    own = {"parameters": ["subdomain"], "secrets": ["login_password"]}
    login_of_own = {"username": "{subdomain}", "password": "{login_password}"}
    settings.JWT_UPSTREAM |= shop(BASE_URL="https://api.example.com/", OPTIONS={}, LOGIN=login_of_own, ACCOUNTS=own)
    settings.JWT_UPSTREAM["key"] = {**KEYS, "OPTIONS": {**KEYS["OPTIONS"], "test_path": "me"}}
    refusal: dict[str, Any] = {"json": {"error": "invalid_client"}, "status": 401}
    for method, path in (("POST", "login"), ("POST", "token"), ("GET", "me")):
        responses.add(method, f"https://api.example.com/{path}", **refusal)
    names = get_backend(alias).accounts
    assert names
    given = dict.fromkeys(names.parameters, "acme")
    client = UpstreamClient.register(alias, "acme", parameters=given, secrets=dict.fromkeys(names.secrets, "wrong"))
    with pytest.raises(CredentialRejected, match="own was refused"):
        client.get("orders")
    number = len(responses.calls)
    said = refused(alias, "--account", "acme")
    new = f"manage.py upstream_login {alias} --account acme --new-secrets"
    assert f"store another secret, or a parameter by --set NAME=VALUE: {new}; or to have the same tried" in said
    assert len(responses.calls) == number
    stdin("wrong\n")
    said = refused(alias, "--account", "acme", "--new-secrets", "--password-stdin")
    assert "login failed" in said
    assert said.endswith("; what the account has of its own is stored, but no tokens.")
    assert len(responses.calls) == number + 1


@responses.activate
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("shop", "--set", "subdomain"), "must be NAME=VALUE"),
        (("shop", "--set", "subdomian=x", *SET), "no parameter 'subdomian' in ACCOUNTS; did you mean 'subdomain'?"),
        (
            ("shop", "--set", "subdomain=a.b/", "--set", "region=eu"),
            "parameter 'subdomain' must be one label of a host",
        ),
        (("shop", "--set", "subdomain=acme"), "parameter 'region' is missing"),
        (("shop", "--set", "client_secret=x"), "client_secret is a secret: leave it out, and it is asked for."),
        (("shop", *SET, "--no-login", "--device"), "--no-login can't be used with --device."),
        (("shop", "--set", "subdomain=a", *SET), "--set was given twice for the same name."),
        (("crm", "--set", "a=b"), "Settings of crm have no ACCOUNTS, so there is nothing to set."),
    ],
)
def test_refused(settings: Any, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str) -> None:
    """What can't be stored is told, without a secret; nothing is stored, and nothing sent."""
    settings.JWT_UPSTREAM |= {"crm": {"BACKEND": "jwt_upstream.backends.Backend", "BASE_URL": "https://c.example.com"}}
    monkeypatch.setenv("JWT_UPSTREAM_CLIENT_SECRET", "own secret")
    alias, *others = arguments
    assert said in refused(alias, "--account", "acme", *others)
    assert not Credential.objects.exists()
    assert not responses.calls


def test_unreadable_secrets(stdin: Any, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets that no key decrypts are asked for anew."""
    monkeypatch.setenv("JWT_UPSTREAM_CLIENT_SECRET", "own secret")
    login("shop", "--account", "acme", *SET, "--no-login")
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = ["YW5vdGhlciBrZXkgb2YgMzIgYnl0ZXMsIGluIGFsbC4="]
    settings.JWT_UPSTREAM_ACCEPT_OLD_VALUES = False
    monkeypatch.setenv("JWT_UPSTREAM_CLIENT_SECRET", "another")
    login("shop", "--account", "acme", "--no-login")
    assert Credential.objects.get().secrets.open() == '{"client_secret": "another"}'
