"""Tokens that were obtained for other settings, in the admin: what changed, and the action that confirms it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from jwt_upstream.client import UpstreamClient
from jwt_upstream.models import Credential, Event
from jwt_upstream.testing import logged_in
from tests.support.admin_pages import LIST, UPSTREAMS, act, own_page, page, staff
from tests.support.upstream import Upstream

CHANGED = "the client was not set and is another now"
BUTTON = ">Confirm a move</button>"


@pytest.fixture
def moved(client: UpstreamClient, settings: Any) -> Credential:
    """A credential whose tokens were obtained for another client."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"] |= {"client_id": "another"}
    return Credential.objects.get()


def shown(html: str) -> str:
    """Return what the page of the action has confirmed."""
    found = re.search('name="confirmed" value="([^"]+)"', html)
    assert found
    return found[1]


def test_pages(browser: Client, moved: Credential) -> None:
    """The list, the credential's page and the page of upstreams say what changed and what to do."""
    html = page(browser, LIST)
    assert ">mismatched</span>" in html
    assert f"obtained for other settings: {CHANGED}" in html
    html = page(browser, own_page(moved))
    assert f"Obtained for other settings: {CHANGED}: put the settings back, or confirm" in html
    assert "manage.py upstream_rebind up" in html
    assert "origin http://127.0.0.1:" in html
    assert BUTTON in html
    html = page(browser, UPSTREAMS)
    assert ">mismatched</span>" in html
    assert f"up/default: obtained for other settings: {CHANGED}." in html


def test_confirmed(browser: Client, moved: Credential, client: UpstreamClient) -> None:
    """The action shows a page first; once that is confirmed the tokens are used, and the history says who did it."""
    response, messages = act(browser, "rebind", moved, back_to=moved.pk)
    assert (CHANGED in response.rendered_content, messages) == (True, [])
    assert not Event.objects.filter(kind="rebound").exists()
    confirmed = shown(response.rendered_content)
    response, messages = act(browser, "rebind", moved, back_to=moved.pk, confirmed=confirmed)
    assert response["Location"] == own_page(moved)
    assert messages == [("success", f"Credential up/default: confirmed, {CHANGED}.")]
    assert client.get("orders/").status_code == 200
    assert Event.objects.get(kind="rebound").by.startswith("admin by root (")
    html = page(browser, own_page(moved))
    assert (BUTTON in html, "client another" in html, ">bound to other settings</span>" in html) == (False, True, True)


def test_confirmed_of_what_was_shown(browser: Client, moved: Credential, settings: Any) -> None:
    """If settings are others by the time it is confirmed, the page is shown again with these."""
    confirmed = shown(act(browser, "rebind", moved)[0].rendered_content)
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["client_id"] = "a third"
    response, _ = act(browser, "rebind", moved, confirmed=confirmed)
    assert "the client was not set and is a third now" in response.rendered_content
    assert not Event.objects.filter(kind="rebound").exists()


def test_many(browser: Client, moved: Credential, settings: Any) -> None:
    """Several are confirmed at once; those that need nothing, or whose settings are wrong, are left as they are."""
    well = logged_in("up", "well")
    settings.JWT_UPSTREAM["wrong"] = settings.JWT_UPSTREAM["up"]
    wrong = logged_in("wrong")
    settings.JWT_UPSTREAM["wrong"] = {**settings.JWT_UPSTREAM["up"], "OPTIONS": {"nonsense": 1}}
    response, _ = act(browser, "rebind", moved, well, wrong)
    assert "Nothing has changed." in response.rendered_content
    assert "unknown option &#x27;nonsense&#x27;" in response.rendered_content
    _, ((level, text),) = act(browser, "rebind", moved, well, wrong, confirmed=shown(response.rendered_content))
    assert (level, text.partition(":")[0]) == ("warning", "2 confirmed, 1 failed")
    assert Event.objects.get(kind="rebound").account == "default"


def test_more_than_fit_a_form(browser: Client, moved: Credential, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more are confirmed at once than were shown."""
    # In place of more than five hundred rows.
    monkeypatch.setattr("jwt_upstream.admin.bulk.MOST", 1)
    rows = [logged_in("up", name) for name in ("before", "well")]
    response, _ = act(browser, "rebind", moved, *rows)
    assert "No more than 1 are confirmed at once" in response.rendered_content
    assert "<strong>up/default</strong>" in response.rendered_content, "it alone has moved"
    response, _ = act(browser, "rebind", *rows)
    assert "Nothing has changed." in response.rendered_content


def test_permission(moved: Credential) -> None:
    """Without its permission nobody confirms a move; with it alone one may."""
    browser = staff("view_credential", "refresh_credential", "log_in_credential")
    assert BUTTON not in page(browser, own_page(moved))
    act(browser, "rebind", moved, confirmed="anything")
    assert not Event.objects.filter(kind="rebound").exists()


def test_with_its_permission(moved: Credential) -> None:
    """The permission brings the button."""
    assert BUTTON in page(staff("view_credential", "rebind_credential"), own_page(moved))


def test_logout_page(browser: Client, moved: Credential, upstream: Upstream, settings: Any) -> None:
    """The page before a logout says that the upstream will not be told."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"] |= {"revoke_path": "revoke", "revoke_fields": {"token": "{token}"}}
    assert "The upstream will not be told" in act(browser, "log_out", moved)[0].rendered_content
