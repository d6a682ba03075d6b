"""The app of the site."""

from __future__ import annotations

from django.apps import AppConfig


class TenantsConfig(AppConfig):
    """Has no migrations: its tables are made as the models say."""

    name = "tests.support.tenants"
    label = "tenants"
    default_auto_field = "django.db.models.BigAutoField"
