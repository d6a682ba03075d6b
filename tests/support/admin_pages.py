"""The addresses of the admin's pages, and what they show."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Permission, User
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from jwt_upstream.models import Credential

LIST = "/admin/jwt_upstream/credential/"
EVENTS = "/admin/jwt_upstream/event/"
INCIDENTS = "/admin/jwt_upstream/incident/"
UPSTREAMS = f"{LIST}upstreams/"


def page(browser: Client, url: str) -> str:
    """Return a page's HTML."""
    response = browser.get(url)
    assert response.status_code == 200
    return response.content.decode()


def own_page(credential: Credential) -> str:
    """Return the address of a credential's own page."""
    return reverse("admin:jwt_upstream_credential_change", args=[credential.pk])


def act_url(name: str, upstream: str, account: str | None = "default") -> str:
    """Return the address of the page that does something to an account."""
    return f"{LIST}{name}/?upstream={upstream}" + (f"&account={account}" if account else "")


def messages_of(response: Any) -> list[tuple[str, str]]:
    """Return the messages that a response brings as (level, text)."""
    return [(message.level_tag, str(message)) for message in get_messages(response.wsgi_request)]


def act(browser: Client, action: str, *credentials: Credential, **data: Any) -> tuple[Any, list[tuple[str, str]]]:
    """Use an action; return the response and the messages."""
    data |= {"action": action, "_selected_action": [credential.pk for credential in credentials]}
    response = browser.post(LIST, data)
    return response, messages_of(response)


def staff(*permissions: str) -> Client:
    """Return the browser of somebody with these permissions only."""
    create_permissions(apps.get_app_config("jwt_upstream"), verbosity=0)
    user = User.objects.create(username="ann", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    browser = Client()
    browser.force_login(user)
    return browser
