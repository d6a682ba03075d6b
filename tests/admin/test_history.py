"""The admin's pages of events and incidents."""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils import timezone

from jwt_upstream.models import Credential, Event, Incident
from jwt_upstream.testing import logged_in
from tests.support.admin_pages import EVENTS, INCIDENTS, LIST, own_page, page
from tests.support.rows import put


def test_events(browser: Client) -> None:
    """The list of events says when, whose, what, why and by whom; an event's page adds the details."""
    logged_in("crm", "ann")
    html = page(browser, EVENTS)
    assert 'jwt-upstream-good">logged in</span>' in html
    assert "crm/ann" in html
    assert "jwt_upstream.testing (" in html
    event = Event.objects.get()
    assert event.credential
    assert f'<a href="{own_page(event.credential)}">crm/ann</a>' in html
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


def test_history_can_not_be_deleted(browser: Client) -> None:
    """Events are append-only."""
    logged_in("crm")
    assert browser.post(f"{EVENTS}{Event.objects.get().pk}/delete/", {"post": "yes"}).status_code == 403
    assert "delete_selected" not in page(browser, EVENTS)


def test_durations(browser: Client) -> None:
    """How long an upstream took is told in milliseconds, and not where it was not asked."""
    event = Event.objects.create(upstream="crm", account="ann", kind="refreshed", seconds=0.0421)
    assert "42 ms" in page(browser, EVENTS)
    assert "42 ms" in page(browser, f"{EVENTS}{event.pk}/change/")
    Event.objects.update(seconds=None)
    assert " ms<" not in page(browser, EVENTS)


def test_event_of_a_deleted_credential(browser: Client) -> None:
    """An event whose credential is gone names it without a link."""
    put("crm").delete()
    assert '<td class="field-name">crm/default</td>' in page(browser, EVENTS)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("locked", "The page of the credential says what to do"),
        ("misconfigured", "Correct the settings of this upstream"),
        ("down", "Nothing, if it is soon over"),
    ],
)
def test_page_of_an_incident(browser: Client, kind: str, said: str) -> None:
    """An incident's page says what to do as long as it lasts, and has no empty rows."""
    incident = Incident.objects.create(upstream="crm", kind=kind, reason="HTTP 503")
    html = page(browser, url := f"{INCIDENTS}{incident.pk}/change/")
    assert said in html
    assert f'<a href="{LIST}?upstream=crm">crm</a>' in html
    assert "field-until_when" not in html
    Incident.objects.update(is_open=None, closed_at=timezone.now())
    html = page(browser, url)
    assert "field-until_when" in html
    assert said not in html


def test_incident_of_a_credential(browser: Client) -> None:
    """The incident of one credential leads to its page as long as it is there."""
    credential = put("crm", "ann", state="locked")
    incident = Incident.objects.create(upstream="crm", account="ann", kind="locked")
    link = f'<a href="{own_page(credential)}">crm/ann</a>'
    assert link in page(browser, f"{INCIDENTS}{incident.pk}/change/")
    Credential.objects.all().delete()
    incident = Incident.objects.create(upstream="crm", account="ann", kind="locked")
    assert "/credential/" not in page(browser, f"{INCIDENTS}{incident.pk}/change/").partition("field-whose")[2][:300]
