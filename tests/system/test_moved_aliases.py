"""The command of docs/howto/accounts.rst, which makes accounts of aliases and keeps their tokens."""

from __future__ import annotations

import io
from base64 import b64encode
from typing import Any

import pytest
import responses
from django.core.management import call_command

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import CredentialMismatch
from jwt_upstream.models import Credential
from jwt_upstream.testing import logged_in
from tests.support.accounts import fields
from tests.support.pages import blocks

PAGE = "howto/accounts.rst"
SECRETS = {"acme": "secret-of-acme", "globex": "secret-of-globex"}


def blocks_with(text: str) -> dict[str, Any]:
    """Run the block of the page that has a text; return what it defines."""
    defined: dict[str, Any] = {"__name__": "page"}
    exec(next(block for block in blocks(PAGE, "python") if text in block), defined)
    return defined


@pytest.fixture
def move(settings: Any, monkeypatch: pytest.MonkeyPatch, transactional_db: None) -> Any:
    """The page's module, where two aliases are logged in, of which settings have been made accounts."""
    page = blocks_with("class Command")
    accounts = blocks_with('"ACCOUNTS": {\n')["JWT_UPSTREAM"]["shop"]
    settings.JWT_UPSTREAM = {
        f"shop-{name}": {
            "BACKEND": accounts["BACKEND"],
            "BASE_URL": accounts["BASE_URL"].format(**own),
            "OPTIONS": {**accounts["OPTIONS"], "client_id": own["client_id"], "client_secret": SECRETS[name]},
        }
        for name, own in page["CUSTOMERS"].items()
    }
    for name in page["CUSTOMERS"]:
        logged_in(f"shop-{name}", access=f"{name}-access", refresh=f"{name}-refresh")
        monkeypatch.setenv(f"SHOP_{name.upper()}_SECRET", SECRETS[name])
    settings.JWT_UPSTREAM = {"shop": accounts}
    return page


def run(move: Any) -> str:
    out = io.StringIO()
    call_command(move["Command"](stdout=out))
    return out.getvalue()


@responses.activate
def test_tokens_are_kept(move: Any) -> None:
    """Each account goes on with its tokens and its client, at its own place, and nobody logs in; twice is as once."""
    assert run(move) == "shop/acme: moved\nshop/globex: moved\n"
    assert run(move) == "shop/acme: registered\nshop/globex: registered\n"
    assert not responses.calls
    for name, region in (("acme", "eu"), ("globex", "us")):
        place = f"https://{name}.shop.example.com/{region}/"
        responses.get(f"{place}orders/", json=[])
        responses.post(f"{place}oauth/token", json={"access_token": f"{name}-second", "expires_in": 3600})
        client = UpstreamClient("shop", name)
        client.get("orders/")
        assert responses.calls[-1].request.headers["Authorization"] == f"Bearer {name}-access"
        client.refresh()
        by_basic_auth = b64encode(f"{name}-app:{SECRETS[name]}".encode()).decode()
        assert responses.calls[-1].request.headers["Authorization"] == f"Basic {by_basic_auth}"
        assert fields(-1)["refresh_token"] == f"{name}-refresh"
        assert Credential.objects.get(account=name).obtained_for["parameter region"] == region


@responses.activate
@pytest.mark.parametrize("wrong", [{"subdomain": "globex"}, {"client_id": "globex-app"}])
def test_mistake(move: Any, wrong: dict[str, str]) -> None:
    """A wrong host or client in the list has no token sent anywhere; once it is right and confirmed, it works."""
    right = dict(move["CUSTOMERS"]["acme"])
    move["CUSTOMERS"]["acme"].update(wrong)
    run(move)
    with pytest.raises(CredentialMismatch):
        UpstreamClient("shop", "acme").get("orders/")
    assert not responses.calls
    move["CUSTOMERS"]["acme"].update(right)
    run(move)
    call_command("upstream_rebind", "shop", account="acme", stdout=io.StringIO())
    responses.get("https://acme.shop.example.com/eu/orders/", json=[1])
    assert UpstreamClient("shop", "acme").get("orders/").json() == [1]
