"""Admin sites of a project's own, on which not all of the app's pages are."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin import AdminSite
from django.test import Client
from django.urls import path

from jwt_upstream.admin import CredentialAdmin, EventAdmin, IncidentAdmin
from jwt_upstream.models import Credential, Event, Incident
from tests.support.admin_pages import page, staff
from tests.support.rows import put

support, audit = AdminSite("support"), AdminSite("audit")
support.register(Credential, CredentialAdmin)
audit.register(Event, EventAdmin)
audit.register(Incident, IncidentAdmin)
urlpatterns = [path("support/", support.urls), path("audit/", audit.urls)]

CREDENTIALS = "/support/jwt_upstream/credential/"


@pytest.fixture(autouse=True)
def sites(settings: Any) -> None:
    """Two sites, neither of which has everything."""
    settings.ROOT_URLCONF = __name__


def test_pages_without_those_that_they_link_to(browser: Client) -> None:
    """What another page would be linked to is a plain text where the site has no such page."""
    row = put("crm")
    about: dict[str, Any] = {"upstream": "crm", "account": row.account, "credential": row}
    incident = Incident.objects.create(**about, kind="locked")
    event = Event.objects.create(**about, kind="locked")
    assert "crm/default: locked" in page(browser, f"{CREDENTIALS}{row.pk}/change/")
    assert "Last events" in page(browser, f"{CREDENTIALS}{row.pk}/change/")
    assert "crm/default: locked" in page(browser, f"{CREDENTIALS}upstreams/")
    assert "upstreams/" in page(browser, "/support/jwt_upstream/")
    assert "upstreams/" not in page(browser, "/audit/jwt_upstream/")
    assert "crm" in page(browser, f"/audit/jwt_upstream/incident/{incident.pk}/change/")
    assert "crm" in page(browser, f"/audit/jwt_upstream/event/{event.pk}/change/")
    Incident.objects.update(account="")
    assert "crm" in page(browser, f"/audit/jwt_upstream/incident/{incident.pk}/change/")


def test_way_back(transactional_db: None) -> None:
    """Who may log in, but not look at credentials, is led back to the start of the same site."""
    url = f"{CREDENTIALS}adopt/?upstream=crm"
    data = {"account": "ann", "access_token": "an-access-token"}
    assert staff("log_in_credential").post(url, data)["Location"] == "/support/"
