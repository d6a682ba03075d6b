"""upstream_status and upstream_probe, where accounts have parameters and secrets of their own."""

from __future__ import annotations

import json
from typing import Any

import pytest
import responses

from jwt_upstream.client import UpstreamClient
from jwt_upstream.models import Credential
from tests.support.accounts import ACME, CLIENTS, SECRETS, SHOP, shop
from tests.support.commands import probe, status

HOST = "https://acme.shop.example.com/eu"
PAIR = {"access_token": "access-1", "refresh_token": "refresh-1", "expires_in": 3600}


@pytest.fixture(autouse=True)
def _settings(settings: Any, db: None) -> None:
    settings.JWT_UPSTREAM = shop()


def registered(name: str = "acme") -> Credential:
    UpstreamClient.register("shop", name, parameters={**ACME, "subdomain": name}, secrets=SECRETS)
    return Credential.objects.get(account=name)


def test_status_of_no_account() -> None:
    """An upstream at which no account is registered yet is no trouble."""
    out, error = status("--json")
    (told,) = json.loads(out)["credentials"]
    assert (told["account"], told["reason"], told["needs_human"]) == (None, "no account is registered yet", False)
    assert error == ""


def test_status() -> None:
    """Status names the parameters of an account, and what is wrong with them, whoever wrote that to the database."""
    registered()
    Credential.objects.update(state="active")
    assert json.loads(status("--json")[0])["credentials"][0]["parameters"] == ACME
    Credential.objects.update(parameters={**ACME, "subdomain": "evil.net/"})
    out, error = status("--json")
    (told,) = json.loads(out)["credentials"]
    assert (told["state"], told["needs_human"]) == ("misconfigured", True)
    assert told["reason"].startswith("parameter 'subdomain' must be one label of a host")
    assert told["remedy"] == "manage.py upstream_login shop --account acme --set NAME=VALUE"
    assert error


def test_status_of_wrong_settings(settings: Any) -> None:
    """A mistake in settings is told of the upstream, and not of each account."""
    registered()
    settings.JWT_UPSTREAM = shop(ACCOUNTS={"parameters": ["subdomian"]})
    told = json.loads(status("--json")[0])
    assert (told["credentials"][0]["state"], list(told["problems"])) == ("logged_out", ["shop"])


def test_preview(settings: Any) -> None:
    """A probe shows what is sent for an account that is named, and placeholders without one; and no secret."""
    settings.JWT_UPSTREAM = shop(OPTIONS={**SHOP["OPTIONS"], "verify": False})  # of which check only warns
    registered()
    assert "https://subdomain.shop.example.com/region/login" in probe("shop")[0]
    shown, failed = probe("shop", "--account", "acme")
    assert failed == ""
    assert f"{HOST}/login" in shown
    assert SECRETS["client_secret"] not in shown
    assert probe("shop", "--account", "amce") == ("", "shop/amce is not registered; did you mean 'acme'?")


@responses.activate
def test_probes() -> None:
    """Login, refresh and call of a probe go to the account's own host, and their answers are explained."""
    registered()
    for number, path in enumerate(("login", "refresh", "refresh"), 1):
        responses.post(f"{HOST}/{path}", json={**PAIR, "access_token": f"access-{number}"})
    responses.get(f"{HOST}/me", status=401)
    responses.get(f"{HOST}/me", json={"id": 1})
    given = {"password_stdin": False, "username": "bob"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JWT_UPSTREAM_PASSWORD", "correct horse")
        assert probe("shop", "--account", "acme", "--login", "--store", **given)[1] == ""
    assert probe("shop", "--account", "acme", "--refresh")[1] == ""
    shown, failed = probe("shop", "--account", "acme", "--api", "me")
    assert failed == ""
    answers = [line for line in shown.splitlines() if line.startswith("The answer to ")]
    assert [line.partition(",")[0] for line in answers] == [
        "The answer to a call: HTTP 401",
        "The answer to a refresh: HTTP 200",
        "The answer to a call: HTTP 200",
    ]
    assert probe("shop", "--account", "globex", "--login")[1].startswith("shop/globex: nothing was sent")


@responses.activate
def test_settings_of_a_client_only(settings: Any) -> None:
    """An account that logs in by itself is active from the beginning, with nothing to be done."""
    settings.JWT_UPSTREAM = {"api": CLIENTS}
    UpstreamClient.register("api", "acme", parameters={"client": "a"}, secrets=SECRETS)
    (told,) = json.loads(status("--json")[0])["credentials"]
    assert (told["state"], told["needs_human"], told["can_be_renewed"]) == ("active", False, True)
