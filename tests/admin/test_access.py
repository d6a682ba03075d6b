"""Who may do what in the admin."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin import site
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from jwt_upstream.models import Credential, Event, Incident
from tests.support.admin_pages import EVENTS, INCIDENTS, LIST, UPSTREAMS, act, act_url, own_page, page, staff
from tests.support.rows import put


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


def test_viewer_sees_and_can_do_nothing(db: None) -> None:
    """Somebody who may only view sees pages without actions, and can't use them by their addresses either."""
    credential = put("crm")
    browser = staff("view_credential")
    html = page(browser, own_page(credential)).partition("jwt-upstream-actions")[2]
    assert [word for word in BUTTONS if f">{word}</" in html] == []
    assert "try_again" not in page(browser, LIST)
    act(browser, "log_out", credential, confirmed="yes")
    assert Credential.objects.get().state == "active"
    for name in ("log-in", "adopt", "mark-rejected", "test"):
        assert browser.post(act_url(name, "crm")).status_code == 403
    assert ">Log in</a>" not in page(browser, UPSTREAMS)


#: What each permission brings to the page of a credential that works.
BUTTONS = {
    "Refresh now": "refresh",
    "Log in": "log_in",
    "Adopt tokens": "log_in",
    "Test": "test",
    "Mark as rejected": "mark_rejected",
    "Log out": "log_out",
}


@pytest.mark.parametrize("action", ["refresh", "log_in", "test", "mark_rejected", "rebind", "log_out"])
def test_each_action_has_its_permission(db: None, settings: Any, action: str) -> None:
    """A permission brings its buttons and no other."""
    settings.JWT_UPSTREAM = {"crm": {**settings.JWT_UPSTREAM["crm"], "OPTIONS": {"test_path": "me/"}}}
    browser = staff("view_credential", f"{action}_credential")
    html = page(browser, own_page(put("crm"))).partition("jwt-upstream-actions")[2]
    assert [word for word in BUTTONS if f">{word}</" in html] == [
        w for w, needed in BUTTONS.items() if needed == action
    ]
    offered = page(browser, LIST)
    assert [name for name in ("try_again", "rebind", "log_out") if f'value="{name}"' in offered] == (
        {"refresh": ["try_again"], "rebind": ["rebind"], "log_out": ["log_out"]}.get(action, [])
    )


@pytest.mark.parametrize(
    ("columns", "missing"),
    [
        ({"state": "locked"}, {"Refresh now", "Mark as rejected"}),
        ({"state": "logged_out", "access_token": "", "refresh_token": ""}, {*BUTTONS} - {"Log in", "Adopt tokens"}),
    ],
)
def test_buttons_that_make_sense(browser: Client, settings: Any, columns: Any, missing: set[str]) -> None:
    """A credential's page offers what can be done with it; one that needs a human is tried again."""
    settings.JWT_UPSTREAM = {"crm": {**settings.JWT_UPSTREAM["crm"], "OPTIONS": {"test_path": "me/"}}}
    html = page(browser, own_page(put("crm", **columns))).partition("jwt-upstream-actions")[2]
    assert {word for word in BUTTONS if f">{word}</" not in html} == missing
    assert (">Try again</" in html) == (columns["state"] == "locked")


def test_upstream_that_is_gone(browser: Client, settings: Any) -> None:
    """Where the upstream is not configured any more nobody can log in; logging out, which forgets, is possible."""
    settings.JWT_UPSTREAM = {}
    html = page(browser, own_page(put_at_unknown())).partition("jwt-upstream-actions")[2]
    assert {word for word in BUTTONS if f">{word}</" in html} == {"Refresh now", "Mark as rejected", "Log out"}
    assert browser.get(act_url("log-in", "crm", None)).status_code == 404
    assert "no upstream &#x27;crm&#x27; in JWT_UPSTREAM" in page(browser, act_url("log-in", "crm"))


def put_at_unknown() -> Credential:
    """Store a credential at an upstream that settings don't have."""
    return Credential.objects.create(upstream="crm", state="active", access_token="a", refresh_token="r")


def test_overview_needs_the_view_permission(db: None) -> None:
    """The page of all upstreams is for those who may view credentials, and links to it as well."""
    stranger = staff("view_incident")
    assert stranger.get(UPSTREAMS).status_code == 403
    assert UPSTREAMS not in page(stranger, "/admin/jwt_upstream/")


def test_links_to_the_overview(browser: Client) -> None:
    """The page of all upstreams is reached from the app's page, the list and a credential's page."""
    for url in ("/admin/jwt_upstream/", LIST, own_page(put("crm"))):
        assert f'href="{UPSTREAMS}"' in page(browser, url)


#: Every page of the app's admin, with the number of arguments that its address has.
PAGES = {
    pattern.name: len(pattern.pattern.converters)
    for model in (Credential, Event, Incident)
    for pattern in site.get_model_admin(model).get_urls()
    if pattern.name
}


@pytest.mark.parametrize("name", sorted(PAGES))
def test_post_without_csrf_token(browser: Client, name: str) -> None:
    """No page, no form and no action takes a POST without the token of Django's protection against forged ones."""
    row = put("crm")
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get(username="root"))
    query = "?upstream=crm&account=default"
    given = {"post": "yes", "action": "log_out", "_selected_action": row.pk, "confirmed": "yes"}
    response = strict.post(reverse(f"admin:{name}", args=[row.pk] * PAGES[name]) + query, given)
    assert (response.status_code, "CSRF verification failed" in response.content.decode()) == (403, True)
    assert Credential.objects.get().state == "active"


def test_pages_that_take_a_post() -> None:
    """Those pages are all that change something, and the lists with their actions."""
    own = ("log_in", "register", "adopt", "mark_rejected", "test", "credential_changelist", "credential_delete")
    assert {f"jwt_upstream_{name}" for name in own} <= {*PAGES}
