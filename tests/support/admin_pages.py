"""The addresses of the admin's pages, and what they show."""

from __future__ import annotations

from django.test import Client
from django.urls import reverse

from jwt_upstream.models import Credential

LIST = "/admin/jwt_upstream/credential/"
EVENTS = "/admin/jwt_upstream/event/"
INCIDENTS = "/admin/jwt_upstream/incident/"


def page(browser: Client, url: str) -> str:
    """Return a page's HTML."""
    response = browser.get(url)
    assert response.status_code == 200
    return response.content.decode()


def own_page(credential: Credential) -> str:
    """Return the address of a credential's own page."""
    return reverse("admin:jwt_upstream_credential_change", args=[credential.pk])
