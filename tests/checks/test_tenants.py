"""System checks of projects that have a schema for each tenant."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from jwt_upstream import checks
from tests.support.checks import found


def test_tenants_whose_schema_can_not_be_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine with a schema for each tenant, to which our own connections can't be pointed, is an error."""
    monkeypatch.setattr(connection, "schema_name", "public", raising=False)
    assert [problem.id for problem in checks.check_settings()] == ["jwt_upstream.E012"]
    for name in ("set_schema", "set_tenant"):
        monkeypatch.setattr(connection, name, print, raising=False)
    assert checks.check_settings() == []


@pytest.mark.parametrize(
    ("shared", "tenants", "ids"),
    [
        (["django_tenants", "jwt_upstream"], ["orders"], []),
        (("django_tenants",), ("jwt_upstream.apps.JwtUpstreamConfig",), []),
        (["django_tenants"], ["orders"], ["E019"]),
        (["jwt_upstream"], ["orders", "jwt_upstream"], ["W012"]),
    ],
)
def test_lists_of_apps(settings: Any, shared: Any, tenants: Any, ids: list[str]) -> None:
    """With django-tenants the app has to be in one of the two lists; in both, each schema has other credentials."""
    settings.SHARED_APPS, settings.TENANT_APPS = shared, tenants
    assert found(checks.check_settings()) == ids
