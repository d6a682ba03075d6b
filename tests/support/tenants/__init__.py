"""A site with a schema for each tenant, by django-tenants; run as ``python -m tests.support.tenants``."""
