"""Customers whose upstreams are servers of their own: each is one row here, and settings name none of them."""

from __future__ import annotations

from django.conf import settings

from jwt_upstream.client import UpstreamClient
from jwt_upstream.models import Credential
from project.demo.sample import Sample


def names() -> list[str]:
    """Return the customers that there are servers of."""
    return list(settings.SAMPLE_UPSTREAM_TENANTS)


def stored() -> set[str]:
    """Return those that have signed up."""
    return set(Credential.objects.filter(upstream="tenants").values_list("account", flat=True))


def expected() -> list[str]:
    """Return those that have a server and have not signed up yet."""
    return [name for name in names() if name not in stored()]


def parameters(name: str) -> dict[str, str]:
    """Return what is a customer's own and no secret."""
    return {"port": settings.SAMPLE_UPSTREAM_TENANTS[name]["port"], "tenant": name}


def sign_up(name: str) -> UpstreamClient:
    """Store the row of a customer, which is all that a new one takes; the first call logs in."""
    password = settings.SAMPLE_UPSTREAM_TENANTS[name]["password"]
    secret = {"login_password": password}
    return UpstreamClient.register("tenants", name, parameters=parameters(name), secrets=secret, by="the demo")


def server(name: str) -> Sample:
    """Return the server of a customer."""
    return Sample(settings.JWT_UPSTREAM["tenants"]["BASE_URL"].format(**parameters(name)))
