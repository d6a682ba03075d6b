"""The page of all upstreams: how each one is, and what is configured."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from jwt_upstream.admin import overview
from jwt_upstream.models import Event, Incident
from jwt_upstream.store import queries
from tests.support.admin_pages import INCIDENTS, LIST, UPSTREAMS, page, staff
from tests.support.rows import put


def cards(html: str) -> dict[str, str]:
    """Return the text of each card by its upstream, in their order."""
    found = re.findall(r"<section.*?<h2[^>]*>([^<]*)</h2>(.*?)</section>", html, re.DOTALL)
    return {name: " ".join(unescape(re.sub("<[^>]*>", " ", text)).split()) for name, text in found}


def test_upstream_that_works(browser: Client) -> None:
    """A card says that the upstream works, when it did last, how many credentials it has, and what expires next."""
    now = timezone.now()
    put("crm", worked_at=now - timedelta(minutes=3, seconds=1), refresh_expires_at=now + timedelta(days=9, seconds=9))
    put("crm", "ann", failures=1)
    put("crm", "bea", state="locked")
    html = page(browser, UPSTREAMS)
    card = cards(html)["crm"]
    assert card.startswith("works last worked 3 minutes ago 2 active 1 locked 1 failing")
    assert "Next access token expires in 59 minutes" in card
    assert "First refresh token expires in 9 days" in card
    assert f'href="{LIST}?upstream=crm&amp;state__exact=locked"' in html
    assert f'href="{LIST}?upstream=crm&amp;trouble=failing"' in html
    assert "Log in with another account" in card


@pytest.mark.parametrize(("seconds", "said"), [(300, "in 4 minutes"), (90_000, "in 24 hours")])
def test_next_expiry(browser: Client, seconds: int, said: str) -> None:
    """The next expiry is that of a token which works, however far away it is."""
    now = timezone.now()
    put("crm", access_expires_at=now + timedelta(seconds=seconds))
    put("crm", "expired", access_expires_at=now - timedelta(seconds=9))
    put("crm", "later", access_expires_at=now + timedelta(days=9))
    card = cards(page(browser, UPSTREAMS))["crm"]
    assert f"Next access token expires {said}" in card


def test_upstream_where_nobody_is_logged_in(browser: Client, settings: Any) -> None:
    """An upstream without credentials says so and offers to log in; one with LOGIN does that by itself."""
    login = {"username": "u", "password": "hunter2"}
    settings.JWT_UPSTREAM = {**settings.JWT_UPSTREAM, "erp": {**settings.JWT_UPSTREAM["erp"], "LOGIN": login}}
    html = page(browser, UPSTREAMS)
    card = cards(html)["erp"]
    assert card.startswith("never logged in It logs in by itself at the first call.")
    assert "LOGIN password, username" in card
    assert "hunter2" not in html
    assert f'href="{LIST}log-in/?upstream=erp"' in html
    assert "by itself" not in cards(html)["crm"]


def test_upstream_that_is_down(browser: Client) -> None:
    """Whose incident is open comes first, with since when, why and a link; those of its accounts follow."""
    put("erp", "ann", state="locked")
    since = timezone.now() - timedelta(hours=5, minutes=1)
    whole = Incident.objects.create(upstream="erp", kind="down", reason="HTTP 503", since=since)
    found = cards(html := page(browser, UPSTREAMS))
    assert list(found) == ["erp", "crm"]
    assert found["erp"].startswith("down began 5 hours ago erp: down HTTP 503")
    assert f'href="{INCIDENTS}{whole.pk}/change/"' in html


@pytest.mark.parametrize(
    ("columns", "said"), [({"state": "locked"}, "needs a human"), ({"worked_at": None}, "works 1 active")]
)
def test_without_an_incident(browser: Client, columns: Any, said: str) -> None:
    """An upstream all of whose credentials need a human doesn't work."""
    put("crm", **columns)
    assert cards(page(browser, UPSTREAMS))["crm"].startswith(said)


def test_settings_that_are_wrong(browser: Client, settings: Any) -> None:
    """What is wrong with settings is said; what is not configured any more is shown as long as it has credentials."""
    put("erp")
    settings.JWT_UPSTREAM = {"crm": {"BASE_URL": "crm.example.com"}}
    found = cards(page(browser, UPSTREAMS))
    assert found["crm"].startswith("misconfigured JWT_UPSTREAM['crm']: BASE_URL must be an http")
    assert found["erp"].startswith("not configured It is not in JWT_UPSTREAM any more. 1 active")


def test_settings_as_understood(browser: Client, settings: Any) -> None:
    """Addresses and options are shown as they are used, and no secret among them."""
    options = {"client_id": "shop", "client_secret": "squid-Ink-77", "client_authentication": "post"}
    crm = {"BACKEND": "jwt_upstream.backends.OAuth2Backend", "BASE_URL": "https://crm.example.com/api/"}
    settings.JWT_UPSTREAM = {"crm": {**crm, "OPTIONS": options}}
    card = cards(page(browser, UPSTREAMS))["crm"]
    assert "BACKEND OAuth2Backend BASE_URL https://crm.example.com/api/" in card
    assert "client_id shop client_secret […]" in card
    assert "squid" not in page(browser, UPSTREAMS)


def test_end_of_a_client_secret(browser: Client, settings: Any) -> None:
    """Where settings say when the client secret expires, the card does too."""
    options = {"client_secret_expires_at": "2027-01-31"}
    crm = {
        "BACKEND": "jwt_upstream.backends.OAuth2Backend",
        "BASE_URL": "https://crm.example.com/api/",
        "OPTIONS": options,
    }
    settings.JWT_UPSTREAM = {"crm": crm}
    assert "Client secret expires 2027-01-31" in cards(page(browser, UPSTREAMS))["crm"]


def test_what_others_may_see(db: None) -> None:
    """Who may view credentials only sees no incidents, no history and no button."""
    put("crm")
    Incident.objects.create(upstream="crm", kind="down", reason="HTTP 503")
    html = page(staff("view_credential"), UPSTREAMS)
    assert "HTTP 503" not in html
    assert "<desc>" not in html
    assert "Log in" not in html.partition("<main")[2]
    browser = Client()
    assert browser.get(UPSTREAMS).status_code == 302


def test_many_upstreams(browser: Client, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page has a limited number of cards, and leads to the next."""
    monkeypatch.setattr(overview, "_CARDS_ON_PAGE", 2)
    settings.JWT_UPSTREAM = {f"up{number}": settings.JWT_UPSTREAM["crm"] for number in range(5)}
    pages = [page(browser, f"{UPSTREAMS}?p={number}") for number in (1, 2, 3)]
    assert [list(cards(html)) for html in pages] == [["up0", "up1"], ["up2", "up3"], ["up4"]]
    assert 'href="?p=1"' in pages[1]
    assert 'href="?p=3"' in pages[1]


def test_no_upstream(browser: Client, settings: Any) -> None:
    """Without any settings the page says so."""
    settings.JWT_UPSTREAM = {}
    assert "No upstream is configured" in page(browser, UPSTREAMS)


def test_queries_are_bounded(
    browser: Client, monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Any
) -> None:
    """However many credentials and events there are, a card takes the same short queries."""
    monkeypatch.setattr(queries, "COUNT_LIMIT", 3)
    for number in range(9):
        put("crm", f"tenant-{number}")
    Event.objects.bulk_create(Event(upstream="crm", account="a", kind="refreshed") for _ in range(9))
    with django_assert_max_num_queries(60):
        card = cards(page(browser, UPSTREAMS))["crm"]
    assert "3+ active" in card
    assert "3+ refreshes" in card
