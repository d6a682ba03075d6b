"""The tenants of the site."""

from __future__ import annotations

from django.db import models
from django_tenants.models import DomainMixin, TenantMixin


class Customer(TenantMixin):  # type: ignore[misc]  # django-tenants has no types
    """A tenant, whose schema is made with it."""

    name = models.CharField(max_length=50)
    auto_create_schema = True

    class Meta:
        app_label = "tenants"


class Domain(DomainMixin):  # type: ignore[misc]
    """Where a tenant is reached; django-tenants wants the model."""

    class Meta:
        app_label = "tenants"
