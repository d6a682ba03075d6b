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
        ("refreshing=failing", "crm/default"),
        ("refreshing=ok", "erp/ann"),
        ("q=disabled", "erp/ann"),
        ("q=crm", "crm/default"),
    ],
)
def test_filters_and_search(browser: Client, query: str, found: str) -> None:
    """Credentials are found by state, upstream, refreshing, account and reason."""
    put("crm", failures=1)
    put("erp", "ann", state="locked", reason="Account is disabled.")
    html = page(browser, f"{LIST}?{query}")
    assert [name for name in ("crm/default", "erp/ann") if name in html] == [found]


@pytest.mark.parametrize("query", ["kind__exact=logged_in", "upstream=crm", "q=adopted"])
def test_event_filters(browser: Client, query: str) -> None:
    """Events are found by kind, upstream and text."""
    logged_in("crm")
    Event.objects.create(upstream="erp", account="default", kind="locked")
    html = page(browser, f"{EVENTS}?{query}")
    assert "crm/default" in html
    assert "erp/default" not in html


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


@pytest.mark.parametrize("query", ["at__gte=2020-01-01", "upstream=crm&account=default", "kind__exact=logged_in"])
def test_links_to_the_history(browser: Client, query: str) -> None:
    """The filters by date and kind, and the link from a credential to its history, go on working."""
    logged_in("crm")
    assert "crm/default" in page(browser, f"{EVENTS}?{query}")
