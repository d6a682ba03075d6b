"""Projects that have a schema for each tenant."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.db import connections

#: How the lists of apps may name this one.
_APP = {"jwt_upstream", "jwt_upstream.apps.JwtUpstreamConfig"}
_CHOICE = "in SHARED_APPS tenants share the credentials, in TENANT_APPS each has its own"


def tenants() -> Iterator[CheckMessage]:
    """Yield the problems of the engines, and of the lists of apps."""
    yield from _engines()
    shared, of_tenants = getattr(settings, "SHARED_APPS", None), getattr(settings, "TENANT_APPS", None)
    if shared is not None and of_tenants is not None:
        yield from _apps(not _APP.isdisjoint(shared), not _APP.isdisjoint(of_tenants))


def _apps(is_shared: bool, is_of_tenants: bool) -> Iterator[CheckMessage]:
    if not is_shared and not is_of_tenants:
        text = "jwt_upstream is in neither SHARED_APPS nor TENANT_APPS, so migrate_schemas creates its tables nowhere."
        hint = f"Put it into one of them: {_CHOICE}."
        yield Error(text, hint=hint, id="jwt_upstream.E019")
    elif is_shared and is_of_tenants:
        text = (
            "jwt_upstream is in SHARED_APPS and TENANT_APPS, so no tenant sees the credentials of the public schema."
        )
        yield Warning(text, hint=f"Leave it in one of them: {_CHOICE}.", id="jwt_upstream.W012")


def _engines() -> Iterator[CheckMessage]:
    # Our own connections look at the schema that their caller's looks at, by the methods of django-tenants.
    for alias in connections:
        connection = connections[alias]
        has_setters = hasattr(connection, "set_schema") and hasattr(connection, "set_tenant")
        if hasattr(connection, "schema_name") and not has_setters:
            text = f"DATABASES[{alias!r}] has a schema for each tenant, but no set_schema() and set_tenant()."
            hint = "Use django-tenants, or put jwt_upstream into the shared apps."
            yield Error(text, hint=hint, id="jwt_upstream.E012")
