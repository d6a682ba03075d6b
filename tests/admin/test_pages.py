"""The admin's pages: what they show, what they refuse, and what their actions do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.apps import apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Permission, User
from django.contrib.messages import get_messages
from django.test import Client
from django.utils import timezone

from jwt_upstream.client import UpstreamClient
from jwt_upstream.fields import Encrypted
from jwt_upstream.models import Credential, Event, Incident
from jwt_upstream.testing import logged_in
from tests.support.admin_pages import EVENTS, INCIDENTS, LIST, own_page, page
from tests.support.rows import put
from tests.support.upstream import Upstream


def act(browser: Client, action: str, *credentials: Credential, **data: Any) -> tuple[Any, list[tuple[str, str]]]:
    """Use an action; return the response and the messages as (level, text)."""
    data |= {"action": action, "_selected_action": [credential.pk for credential in credentials]}
    response = browser.post(LIST, data)
    return response, [(message.level_tag, str(message)) for message in get_messages(response.wsgi_request)]


def staff(*permissions: str) -> Client:
    """Return the browser of somebody with these permissions only."""
    create_permissions(apps.get_app_config("jwt_upstream"), verbosity=0)
    user = User.objects.create(username="ann", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    browser = Client()
    browser.force_login(user)
    return browser


# -- what is shown


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

    They are: user, session, count, rows, and a look for each upstream and one that finds no more.
    """
    for number in range(9):
        put("crm", f"tenant-{number}")
    for url in (LIST, EVENTS):
        with django_assert_num_queries(6):
            page(browser, url)


def test_page_of_an_unreadable_credential(browser: Client, settings: Any) -> None:
    """Without the key a credential's page says so, and what to do, instead of failing."""
    credential = put("crm", state="unreadable", access_expires_at=None)
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    html = page(browser, own_page(credential))
    assert html.count("no configured key decrypts it") == 2
    assert "put the old key back into JWT_UPSTREAM_ENCRYPTION_KEYS" in html


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({}, "ok"),
        ({"state": "locked"}, "-"),
        ({"lease": "x", "lease_expires_at": timezone.now() + timedelta(hours=1)}, "in progress"),
        ({"failing_since": timezone.now(), "failures": 3}, "failing since "),
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
    """A credential's page shows the last twenty of its events and leads to all of them."""
    credential = put("crm", "ann")
    for number in range(25):
        Event.objects.create(upstream="crm", account="ann", kind="refreshed", reason=f"number {number}")
    put("erp")
    html = page(browser, own_page(credential))
    assert [number for number in range(25) if f"number {number}<" in html] == list(range(5, 25))
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


def test_events(browser: Client) -> None:
    """The list of events says when, whose, what, why and by whom; an event's page adds the details."""
    logged_in("crm", "ann")
    html = page(browser, EVENTS)
    assert 'jwt-upstream-good">logged in</span>' in html
    assert "crm/ann" in html
    assert "jwt_upstream.testing (" in html
    event = Event.objects.get()
    assert event.access_fingerprint in page(browser, f"{EVENTS}{event.pk}/change/")


def test_incidents(browser: Client) -> None:
    """Incidents are listed with whose they are, why, and when admins were told; those that are open come first."""
    now = timezone.now()
    Incident.objects.create(upstream="crm", kind="misconfigured", reason="invalid_client")
    Incident.objects.create(
        upstream="erp", account="acme", kind="failing", is_open=None, closed_at=now, notified_at=now
    )
    html = page(browser, INCIDENTS)
    assert html.index('jwt-upstream-bad">misconfigured</span>') < html.index('jwt-upstream-off">failing</span>')
    assert "invalid_client" in html
    assert "erp/acme" in html
    only_open, only_over = (page(browser, f"{INCIDENTS}?open={choice}") for choice in ("yes", "no"))
    assert ("invalid_client" in only_open, "erp/acme" in only_open) == (True, False)
    assert ("invalid_client" in only_over, "erp/acme" in only_over) == (False, True)


# -- what is refused


def test_nothing_can_be_added_or_edited(browser: Client) -> None:
    """Even a superuser can neither add nor change a row by hand."""
    credential = put("crm")
    Incident.objects.create(upstream="crm", kind="down")
    for url in (LIST, EVENTS, INCIDENTS):
        assert browser.get(f"{url}add/").status_code == 403
    for url in (
        own_page(credential),
        f"{EVENTS}{Event.objects.get().pk}/change/",
        f"{INCIDENTS}{Incident.objects.get().pk}/change/",
    ):
        html = page(browser, url)
        assert 'name="_save"' not in html
        assert 'type="text"' not in html.partition('id="content"')[2]
        assert browser.post(url, {"upstream": "evil", "account": "evil"}).status_code == 403
    assert str(Credential.objects.get()) == "crm/default"


def test_credentials_can_be_deleted(browser: Client) -> None:
    """With the normal permission a credential can be deleted; its history stays."""
    credential = put("crm")
    browser.post(f"{LIST}{credential.pk}/delete/", {"post": "yes"})
    assert not Credential.objects.exists()
    assert Event.objects.get().credential is None


def test_history_can_not_be_deleted(browser: Client) -> None:
    """Events are append-only."""
    logged_in("crm")
    assert browser.post(f"{EVENTS}{Event.objects.get().pk}/delete/", {"post": "yes"}).status_code == 403
    assert "delete_selected" not in page(browser, EVENTS)


def test_viewer_sees_and_can_do_nothing(db: None) -> None:
    """Somebody who may only view sees pages without actions, and without the history they may not view."""
    credential = put("crm")
    browser = staff("view_credential")
    html = page(browser, own_page(credential))
    assert "Refresh now" not in html
    assert "Last events" not in html
    assert "try_again" not in page(browser, LIST)
    act(browser, "log_out", credential)
    assert Credential.objects.get().state == "active"


def test_operator_may_act(db: None) -> None:
    """The change permission is what the actions need; the page has them as buttons."""
    credential = put("crm")
    browser = staff("change_credential", "view_event")
    html = page(browser, own_page(credential))
    assert "Refresh now" in html
    assert "Last events" in html
    assert "deletelink" not in html
    assert ">Try again</button>" in page(browser, own_page(put("erp", state="locked")))


# -- actions


def test_refresh_now(browser: Client, client: UpstreamClient, credential: Credential) -> None:
    """Refreshing on an operator's word stores a new pair and records whose word it was."""
    response, messages = act(browser, "try_again", credential)
    assert response["Location"] == LIST
    assert messages == [("success", "Credential up/default works: it has a new token.")]
    assert Credential.objects.get().pair.access == "access-2"
    assert Event.objects.get(kind="restored").by.startswith("admin by root (")


def test_try_again_after_unlocking(
    browser: Client, client: UpstreamClient, upstream: Upstream, credential: Credential
) -> None:
    """A locked credential works again without a login, and each credential has its own message."""
    Credential.objects.update(state="locked", reason="Account is disabled.")
    other = logged_in("up", "ann", refresh="stale")
    _, messages = act(browser, "try_again", credential, other)
    assert [level for level, _ in messages] == ["error", "success"]
    assert messages[0][1].startswith("Failed: up/ann has been rejected since ")
    assert messages[1][1] == "Credential up/default works: it has a new token."
    assert Credential.objects.get(account="default").state == "active"


def test_button_leads_back_to_the_page(browser: Client, credential: Credential) -> None:
    """The buttons on a credential's page lead back there."""
    response, _ = act(browser, "try_again", credential, back_to=credential.pk)
    assert response["Location"] == own_page(credential)


@pytest.mark.parametrize(
    ("state", "told"), [("active", "unreadable"), ("unreadable", "unreadable"), ("rejected", "rejected")]
)
def test_try_again_without_the_key(
    browser: Client, credential: Credential, settings: Any, state: str, told: str
) -> None:
    """Without the key, trying again is refused with a message, and the ciphertext stays."""
    Credential.objects.update(state=state)
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    _, ((level, text),) = act(browser, "try_again", credential)
    assert level == "error"
    assert text.startswith(f"Failed: up/default has been {told} since ")
    assert Credential.objects.get().access_token == credential.access_token


def test_try_again_where_nobody_is_logged_in(browser: Client, db: None) -> None:
    """Without tokens there is nothing to try: the message says how to log in."""
    credential = put("crm", state="logged_out", access_token="", refresh_token="")
    _, ((level, text),) = act(browser, "try_again", credential)
    assert level == "error"
    assert text.endswith("log in: manage.py upstream_login crm")


def test_try_again_at_an_upstream_that_is_gone(browser: Client, settings: Any) -> None:
    """Trying a credential of an upstream that is no longer configured again ends in a message."""
    credential = put("crm")
    settings.JWT_UPSTREAM = {}
    _, ((level, text),) = act(browser, "try_again", credential)
    assert (level, text) == ("error", "Failed: no upstream 'crm' in JWT_UPSTREAM; it has none")


def test_log_out(browser: Client, credential: Credential) -> None:
    """Logging out forgets the tokens and records by whom."""
    _, messages = act(browser, "log_out", credential)
    assert messages == [("success", "Credential up/default is logged out; its tokens are deleted.")]
    row = Credential.objects.get()
    assert (row.state, bool(row.access_token), bool(row.refresh_token)) == ("logged_out", False, False)
    assert Event.objects.get(kind="logged_out").by.startswith("admin by root (")
