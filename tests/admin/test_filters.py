"""The filters and the counting of the admin's lists."""

from __future__ import annotations

import pytest
from django.test import Client

from jwt_upstream.models import Event
from jwt_upstream.store import queries
from jwt_upstream.testing import logged_in
from tests.support.admin_pages import EVENTS, LIST, page
from tests.support.rows import put


def test_lists_count_no_further_than_needed(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of pages is bounded, so that counting doesn't grow with the table; searching finds the rest."""
    monkeypatch.setattr(queries, "COUNT_LIMIT", 3)
    for number in range(5):
        put("crm", f"tenant-{number}")
    assert "3 credentials" in page(browser, LIST)
    assert "crm/tenant-4" in page(browser, f"{LIST}?q=tenant-4")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("state__exact=locked", "erp/ann"),
        ("upstream=crm", "crm/default"),
        ("trouble=failing", "crm/default"),
        ("trouble=human", "erp/ann"),
        ("trouble=none", "erp/well"),
        ("q=disabled", "erp/ann"),
        ("q=crm", "crm/default"),
        ("q=crm/default", "crm/default"),
        ("q=erp/an", "erp/ann"),
        ("q=ann", "erp/ann"),
        ("q=disabled+ACCOUNT", "erp/ann"),
        ("q=jane@example.com", "erp/well"),
    ],
)
def test_filters_and_search(browser: Client, query: str, found: str) -> None:
    """Credentials are found by state, upstream, refreshing, account and reason."""
    put("crm", failures=1)
    put("erp", "ann", state="locked", reason="Account is disabled.")
    put("erp", "well", username="jane@example.com")
    html = page(browser, f"{LIST}?{query}")
    assert [name for name in ("crm/default", "erp/ann", "erp/well") if f">{name}<" in html] == [found]


def test_search_is_bounded(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Words are looked for in a limited number of rows, the worst first; a whole name is always found."""
    monkeypatch.setattr(queries, "COUNT_LIMIT", 3)
    for number in range(5):
        put("crm", f"tenant-{number}")
    put("crm", "zoe", state="locked")
    found = {
        text: page(browser, f"{LIST}?q={text}") for text in ("zo", "tenant", "tenant-4", "crm/tenant-4", "nant-4")
    }
    numbers = {text: html.count('class="field-name"') for text, html in found.items()}
    assert numbers == {"zo": 1, "tenant": 2, "tenant-4": 1, "crm/tenant-4": 1, "nant-4": 0}


@pytest.mark.parametrize("query", ["kind=logged_in", "kind=refreshed", "upstream=crm", "q=adopted", "q=crm/default"])
def test_event_filters(browser: Client, query: str) -> None:
    """Events are found by kind, upstream and text."""
    logged_in("crm")
    Event.objects.create(upstream="crm", account="default", kind="refreshed", reason="adopted")
    Event.objects.create(upstream="erp", account="default", kind="locked")
    html = page(browser, f"{EVENTS}?{query}")
    assert "crm/default" in html
    assert "erp/default" not in html


def test_text_with_a_nul(browser: Client) -> None:
    """A text that PostgreSQL takes for none leads to the whole list."""
    for query in ("upstream=%00", "state__exact=a%00"):
        assert browser.get(f"{LIST}?{query}")["Location"] == f"{LIST}?e=1"
    for query in ("upstream=%00", "kind=%00"):
        assert browser.get(f"{EVENTS}?{query}")["Location"] == f"{EVENTS}?e=1"


@pytest.mark.parametrize(
    "query",
    [
        *("username__startswith=b", "failed_fingerprint__startswith=a", "failed_login=abc", "refresh_token=x"),
        *("state__in=locked,active", "events__access_fingerprint__startswith=a", "lease__contains=host"),
    ],
)
def test_columns_that_are_not_shown(browser: Client, query: str) -> None:
    """The URL of a list can't ask what the list doesn't show, letter by letter."""
    put("crm")
    assert browser.get(f"{LIST}?{query}").status_code == 400


@pytest.mark.parametrize("query", ["at__gte=2020-01-01", "upstream=crm&account=default", "kind=logged_in"])
def test_links_to_the_history(browser: Client, query: str) -> None:
    """The filters by date and kind, and the link from a credential to its history, go on working."""
    logged_in("crm")
    assert "crm/default" in page(browser, f"{EVENTS}?{query}")


@pytest.mark.parametrize("query", ["?p=2", "?p=2&o=1", "?p=-1", "?p=x"])
def test_page_that_there_is_no_more(browser: Client, query: str) -> None:
    """A page of a list that has become shorter since leads to the beginning of the list."""
    put("crm")
    response = browser.get(f"{LIST}{query}")
    assert (response.status_code, response.get("Location", "")) in {(200, ""), (302, f"{LIST}?e=1")}
    assert "crm" in page(browser, response.get("Location") or LIST)


def test_history_of_the_admin(browser: Client) -> None:
    """The admin's own history of a credential, to which no page leads, can be opened."""
    assert "crm/default" in page(browser, f"{LIST}{put('crm').pk}/history/")
