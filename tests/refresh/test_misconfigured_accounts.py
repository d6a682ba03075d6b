"""Accounts whose own values settings don't allow any more: who is told, how often, and when it is over."""

from __future__ import annotations

import io
from typing import Any

import pytest
import responses
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.test import Client

from jwt_upstream.background import refresh_due
from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import AccountMisconfigured
from jwt_upstream.models import Credential, Incident
from jwt_upstream.monitoring import conditions
from jwt_upstream.refresh import refresh
from jwt_upstream.store import incidents
from tests.management.test_monitoring import checked
from tests.support.accounts import ACME, SECRETS, shop
from tests.support.admin_pages import UPSTREAMS, page
from tests.support.commands import status

PAIR = {"token": "access-1", "refresh_token": "refresh-1", "expires_in": 2}
NAMES = ("acme", "globex", "initech")
LIMITED = {"parameters": {"subdomain": {"pattern": "initech"}, "region": {}}, "secrets": ["client_secret"]}


@pytest.fixture(autouse=True)
def limited(settings: Any, db: None) -> Any:
    """Three accounts that have logged in, before settings allow one of them only."""
    settings.JWT_UPSTREAM = shop()
    with responses.RequestsMock(assert_all_requests_are_fired=False) as server:
        for name in NAMES:
            for path in ("login", "refresh"):
                server.post(f"https://{name}.shop.example.com/eu/{path}", json=PAIR)
            UpstreamClient.register("shop", name, parameters={**ACME, "subdomain": name}, secrets=SECRETS)
            UpstreamClient("shop", name).login(username="bob", password="x")
        settings.JWT_UPSTREAM = shop(ACCOUNTS=LIMITED)
        yield server


def call(name: str) -> None:
    with pytest.raises(AccountMisconfigured):
        UpstreamClient("shop", name).get("orders/")


def test_told_once(limited: Any, mailoutbox: list[Any]) -> None:
    """However many accounts are concerned, and whoever comes upon them, admins get one mail, which names one."""
    number = len(limited.calls)
    out = io.StringIO()
    call_command("upstream_refresh", stdout=io.StringIO(), stderr=out)
    assert "2 left alone: settings don't allow their own values; upstream_status says what to do" in out.getvalue()
    assert "other settings" not in out.getvalue()
    for name in ("acme", "globex", "globex"):
        call(name)
    assert [mail.subject for mail in mailoutbox] == ["[Django] jwt_upstream: upstream shop is misconfigured"]
    (told,) = mailoutbox
    said = " ".join(told.body.split())
    assert said.startswith("Our settings for shop don't allow what one account or more have of their own")
    assert "Reason: acme: parameter 'subdomain' must be as the pattern 'initech' says" in said
    assert "Correct ACCOUNTS of shop in JWT_UPSTREAM" in said
    assert "Command: manage.py upstream_status shop" in said
    assert "every call to shop with such an account fails at once" in said
    asked = [str(each.request.url) for each in limited.calls][number:]
    assert asked == ["https://initech.shop.example.com/eu/refresh"]
    assert Incident.objects.get().is_open


def test_told_by_a_call(mailoutbox: list[Any]) -> None:
    """Without the background refresh a call tells it; one of an account that is logged out does not."""
    Credential.objects.filter(account="globex").update(state="logged_out")
    call("globex")
    assert mailoutbox == []
    call("acme")
    assert len(mailoutbox) == 1


@pytest.mark.parametrize("is_given_up", [False, True])
def test_end(settings: Any, mailoutbox: list[Any], is_given_up: bool) -> None:
    """It lasts until all work that are in use, whatever others do meanwhile, and its end is told once."""
    result = refresh_due()
    assert (result.misconfigured, result.mismatched, result.need_human, result.tried) == (2, 0, 2, 1)
    refresh(Credential.objects.get(account="initech"))
    assert Incident.objects.get().reason.startswith("acme: ")
    both = {**LIMITED, "parameters": {"subdomain": {"pattern": "initech|acme"}, "region": {}}}
    settings.JWT_UPSTREAM = shop(ACCOUNTS=both)
    refresh(Credential.objects.get(account="acme"))
    incident = Incident.objects.get()
    assert (incident.is_open, incident.reason.partition(":")[0]) == (True, "globex")
    settings.JWT_UPSTREAM = shop()
    refresh(Credential.objects.get(account="acme"))
    assert Incident.objects.get().is_open
    if is_given_up:
        Credential.objects.filter(account="globex").update(state="logged_out")
    refresh(Credential.objects.get(account="acme" if is_given_up else "globex"))
    assert Incident.objects.get().closed_at
    assert len(mailoutbox) == 2
    assert "shop works again" in mailoutbox[1].subject


def test_two_who_note_it(limited: Any) -> None:
    """Of two who note it at once one opens the incident, also if it has to write it again."""
    row = Credential.objects.get(account="acme")
    moment = row.now()
    first = incidents.note_misconfigured(row, "wrong", moment, "default")
    assert first
    assert incidents.note_misconfigured(row, "wrong", moment, "default") == first
    later = Credential.objects.get(account="globex")
    assert incidents.note_misconfigured(later, "wrong", later.now(), "default") is None
    assert Incident.objects.get().reason == "acme: wrong"


def test_lost_key(settings: Any) -> None:
    """A lost key is told as that, although it makes an account's secrets unreadable as well."""
    settings.JWT_UPSTREAM = shop()
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    settings.JWT_UPSTREAM_ACCEPT_OLD_VALUES = False
    assert refresh_due().misconfigured == 3
    assert not Incident.objects.exists()
    assert "3 need a human (of which no key decrypts the tokens, …)" in checked()[1]


def test_health_and_overview(admin_client: Client, settings: Any) -> None:
    """Health, the overview and the line for monitoring say what is wrong before anybody has called."""
    (found,) = conditions()
    assert (found.is_misconfigured, found.is_mismatched, found.status) == (True, False, "needs_human")
    assert checked()[1].startswith(
        "JWT_UPSTREAM WARNING - 2 need a human (whose own parameters or secrets settings don't allow, …) |"
    )
    card = page(admin_client, UPSTREAMS)
    assert "misconfigured" in card
    assert "shop/acme: parameter &#x27;subdomain&#x27; must be as the pattern" in card
    settings.JWT_UPSTREAM = shop()
    assert conditions()[0].status == "ok"
    assert "misconfigured" not in page(admin_client, UPSTREAMS)


def test_command_of_a_probe(settings: Any) -> None:
    """Where accounts have values of their own, the status recommends to look at what is sent for this one."""
    settings.JWT_UPSTREAM = shop()
    Credential.objects.filter(account="acme").update(failures=1, failure="HTTP 404", failure_verdict="config")
    assert "to see what is sent: manage.py upstream_probe shop --account acme" in " ".join(status()[0].split())
