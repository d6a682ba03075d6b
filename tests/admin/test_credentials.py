"""The admin's list of credentials, and the page of each."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.test import Client
from django.utils import timezone

from jwt_upstream.admin import CredentialAdmin
from jwt_upstream.fields import Encrypted
from jwt_upstream.models import Event, Incident
from tests.support.admin_pages import EVENTS, INCIDENTS, LIST, own_page, page, staff
from tests.support.rows import put


def test_list_shows_why(browser: Client) -> None:
    """The list says why a credential is not well, and how long its token lives."""
    put("crm", state="rejected", reason="Invalid refresh token")
    put("erp", failures=2, failure="HTTP 503")
    html = page(browser, LIST)
    assert "Invalid refresh token" in html
    assert "HTTP 503" in html
    assert "59 min" in html


def test_that_it_can_not_be_renewed(browser: Client) -> None:
    """A credential without a refresh token is told of before it stops working, in the list and on its own page."""
    credential = put("crm", refresh_token=Encrypted.seal(""))
    for url in (LIST, own_page(credential)):
        assert "can&#x27;t be renewed: there is no refresh token" in page(browser, url)


def test_list_opens_no_token(browser: Client, settings: Any) -> None:
    """The list needs no key at all, so a lost one doesn't break it."""
    put("crm")
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = ["no key"]
    assert "crm/default" in page(browser, LIST)


def test_lists_take_no_query_per_row(browser: Client, django_assert_num_queries: Any) -> None:
    """Showing many credentials or events takes as few queries as showing one.

    They are: user, session, count, rows, and a look for each upstream and one that finds no more. The list of
    credentials counts each of its six parts, and looks for the upstreams once more.
    """
    for number in range(9):
        put("crm", f"tenant-{number}")
    for url, most in ((LIST, 13), (EVENTS, 6)):
        with django_assert_num_queries(most):
            page(browser, url)


def shown_names(html: str) -> list[str]:
    """Return the names in a list of credentials, in their order."""
    return re.findall(r'class="field-name"><a [^>]*>([^<]*)</a>', html)


def test_trouble_comes_first(browser: Client) -> None:
    """What is locked or rejected comes first, then what fails, then who is logged out; the rest is in order."""
    put("crm", "a-well")
    put("crm", "b-out", state="logged_out")
    put("crm", "c-fails", failures=1)
    put("crm", "d-rejected", state="rejected")
    put("erp", "e-locked", state="locked")
    put("erp", "f-unreadable", state="unreadable")
    put("erp", "g-well")
    names = [
        "erp/e-locked",
        "crm/d-rejected",
        "erp/f-unreadable",
        "crm/c-fails",
        "crm/b-out",
        "crm/a-well",
        "erp/g-well",
    ]
    assert shown_names(page(browser, LIST)) == names
    assert shown_names(page(browser, f"{LIST}?o=1")) == sorted(names)
    assert shown_names(page(browser, f"{LIST}?o=-1")) == sorted(names, reverse=True)
    by_state = shown_names(page(browser, f"{LIST}?o=2"))
    assert by_state[-4:] == ["erp/e-locked", "crm/b-out", "crm/d-rejected", "erp/f-unreadable"]


def test_pages_of_the_list(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page ends within one part and the next goes on there: each credential is on one page."""
    monkeypatch.setattr(CredentialAdmin, "list_per_page", 3)
    for number in range(2):
        put("crm", f"locked-{number}", state="locked")
    for number in range(5):
        put("crm", f"well-{number}")
    pages = [shown_names(page(browser, f"{LIST}?p={number}")) for number in (1, 2, 3)]
    assert pages[0] == ["crm/locked-0", "crm/locked-1", "crm/well-0"]
    assert pages[1:] == [["crm/well-1", "crm/well-2", "crm/well-3"], ["crm/well-4"]]


def test_page_of_an_unreadable_credential(browser: Client, settings: Any) -> None:
    """Without the key a credential's page says so, and what to do, instead of failing."""
    credential = put("crm", state="unreadable", access_expires_at=None)
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    html = page(browser, own_page(credential))
    assert html.count("no configured key decrypts it") == 2
    assert "Put the old key back into JWT_UPSTREAM_ENCRYPTION_KEYS" in html


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({}, "ok"),
        ({"lease": "x", "lease_expires_at": timezone.now() + timedelta(hours=1)}, "in progress"),
        ({"failing_since": timezone.now(), "failures": 3}, "failed 3 times, first "),
    ],
)
def test_refreshing(browser: Client, columns: Any, text: str) -> None:
    """A credential's page says how refreshing is going."""
    html = page(browser, own_page(put("crm", **columns)))
    shown = html.partition("field-refreshing")[2].partition('"readonly">')[2].partition("</div>")[0]
    assert shown.startswith(text)


def test_page_without_tokens(browser: Client) -> None:
    """A logged-out credential has no tokens to tell of."""
    credential = put("crm", state="logged_out", access_token="", refresh_token="")
    html = page(browser, own_page(credential))
    assert "fingerprint" not in html
    assert "59 min" not in page(browser, LIST)


def test_history_on_the_page(browser: Client) -> None:
    """A credential's page shows the last of its events and leads to all of them."""
    credential = put("crm", "ann")
    for number in range(25):
        Event.objects.create(upstream="crm", account="ann", kind="refreshed", reason=f"number {number}")
    put("erp")
    html = page(browser, own_page(credential))
    assert [number for number in range(25) if f"<br>number {number}\n" in html] == list(range(11, 25))
    assert "/admin/jwt_upstream/event/?upstream=crm&amp;account=ann" in html
    html = page(browser, f"{EVENTS}?upstream=crm&account=ann")
    assert "26 events" in html


def test_page_before_any_event(browser: Client) -> None:
    """A credential whose history was removed says that there is none."""
    credential = put("crm")
    Event.objects.all().delete()
    assert "There are no events yet." in page(browser, own_page(credential))


def test_no_such_credential(browser: Client) -> None:
    """The address of a deleted credential leads back to the admin's start page, as elsewhere in the admin."""
    response = browser.get(f"{LIST}999/change/")
    assert (response.status_code, response["Location"]) == (302, "/admin/")


def row_of(html: str, field: str) -> str:
    """Return what a credential's page shows in a row, "" if there is no such row."""
    return html.partition(f"field-{field}")[2].partition('"readonly">')[2].partition("</div>")[0]


def test_empty_rows(browser: Client) -> None:
    """What there is nothing to say about has no row."""
    html = page(browser, own_page(put("crm", username="")))
    assert row_of(html, "account") == "default"
    for field in (
        "username",
        "reason",
        "what_now",
        "incidents",
        "failure",
        "next_attempt",
        "interrupted",
        "suppressed",
    ):
        assert f"field-{field}" not in html


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({"state": "locked"}, "Have the account unlocked at the upstream, then try again in the admin"),
        ({"failures": 1, "failure": "HTTP 503"}, "Nothing, if it is soon over: refreshing is tried again by itself."),
        ({"failures": 1, "failure_verdict": "config"}, "manage.py upstream_probe crm shows what is sent"),
        ({"refresh_token": Encrypted.seal("")}, "Log in: manage.py upstream_login crm"),
    ],
)
def test_what_now(browser: Client, columns: Any, text: str) -> None:
    """Whatever is wrong, a credential's page says what to do."""
    assert text in row_of(page(browser, own_page(put("crm", **columns))), "what_now")


def test_links_to_incidents(browser: Client) -> None:
    """A credential's page leads to its own open incident and to that of its upstream, and to no other."""
    credential, now = put("crm", "ann", failures=1), timezone.now()
    for account, is_open in [("ann", True), ("ann", None), ("", True), ("bea", True)]:
        Incident.objects.create(upstream="crm", account=account, kind="failing", is_open=is_open, closed_at=now)
    own, _, whole, _ = Incident.objects.order_by("pk")
    shown = row_of(page(browser, own_page(credential)), "incidents")
    assert set(re.findall(r'href="([^"]*)">([^<]*)', shown)) == {
        (f"{INCIDENTS}{own.pk}/change/", "crm/ann: failing"),
        (f"{INCIDENTS}{whole.pk}/change/", "crm: failing"),
    }


def test_times_are_relative(browser: Client) -> None:
    """Times are told from now, with the full time in the title, in the current time zone."""
    since = timezone.now() - timedelta(minutes=3, seconds=5)
    html = page(browser, own_page(put("crm", since=since)))
    full = f"{timezone.localtime(since):%Y-%m-%d %H:%M:%S %Z}"
    assert f'title="{full}">3 minutes ago</time>' in row_of(html, "from_when")


def test_history_needs_its_permission(db: None) -> None:
    """Who may not view events sees none on a credential's page."""
    html = page(staff("view_credential"), own_page(put("crm")))
    assert "Last events" not in html
    assert "All events of this credential" not in html
