"""Links into the admin, from where there is no request to take the host from."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.sites.shortcuts import get_current_site
from django.core.exceptions import ImproperlyConfigured, ObjectDoesNotExist
from django.db import DatabaseError
from django.urls import NoReverseMatch, reverse

from jwt_upstream.conf import conf


def page(name: str, *args: Any) -> str:
    """Return the path of one of our admin pages, "" in a project without the admin."""
    try:
        return reverse(f"admin:jwt_upstream_{name}", args=args)
    except (NoReverseMatch, AttributeError):  # the latter in a project of workers only, which has no ROOT_URLCONF
        return ""


def link(path: str) -> str:
    """Return the URL of a page, "" if it is not known where this project is reached."""
    site = conf.site_url or _site()
    return f"{site}{path}" if site and path else ""


def _site() -> str:
    # The sites framework knows the host, if it is installed and configured.
    if not apps.is_installed("django.contrib.sites"):
        return ""
    try:
        domain: str = get_current_site(None).domain
    except (ImproperlyConfigured, ObjectDoesNotExist, DatabaseError):
        return ""
    scheme = "http" if settings.DEBUG else "https"
    return "" if domain == "example.com" else f"{scheme}://{domain}"
