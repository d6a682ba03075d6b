"""Lets two tenants, each with an account "default" of its own, adopt, call and refresh, and prints what came of it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import django
from django.conf import settings

from tests.support.pages import blocks

TENANTS = ("acme", "globex")


def configure(url: str, database: dict[str, Any]) -> None:
    """Set Django up with a schema for each tenant, jwt_upstream among the tenants' apps."""
    upstream = {"BASE_URL": url, "OPTIONS": {"refresh_fields": {"refresh": "{refresh}"}}}
    app = "tests.support.tenants.apps.TenantsConfig"
    shared = ["django_tenants", app, "django.contrib.contenttypes", "django.contrib.auth", "django.contrib.admin"]
    settings.configure(
        SECRET_KEY="tests only",
        USE_TZ=True,
        DATABASES={"default": {**database, "ENGINE": "django_tenants.postgresql_backend"}},
        DATABASE_ROUTERS=["django_tenants.routers.TenantSyncRouter"],
        SHARED_APPS=shared,
        TENANT_APPS=["jwt_upstream"],
        INSTALLED_APPS=[*shared, "jwt_upstream"],
        TENANT_MODEL="tenants.Customer",
        TENANT_DOMAIN_MODEL="tenants.Domain",
        # The page's task calls the latter.
        JWT_UPSTREAM={"up": upstream, "crm": upstream},
        JWT_UPSTREAM_ENCRYPTION_KEYS=["c2l4dGVlbiBieXRlcyBhbmQgc2l4dGVlbiBieXRlcyE="],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    )
    django.setup()


def in_tenant(name: str, work: Callable[[], Any]) -> Any:
    """Return what comes of work in a tenant's schema."""
    from django.db import connection
    from django_tenants.utils import schema_context

    try:
        with schema_context(name):
            return work()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        connection.close()


def main() -> None:
    """Print, by tenant, which token its calls carry before and after a refresh, and what the admin logs out."""
    configure(sys.argv[1], json.loads(os.environ["TENANTS_DATABASE"]))
    from django.core.management import call_command

    from jwt_upstream.admin import bulk
    from jwt_upstream.client import UpstreamClient
    from jwt_upstream.login import log_out
    from jwt_upstream.models import Credential
    from jwt_upstream.tokens import TokenPair
    from tests.support.tenants.models import Customer

    call_command("migrate_schemas", "--shared", run_syncdb=True, verbosity=0)
    for name in TENANTS:
        Customer(schema_name=name, name=name).save(verbosity=0)
    client, said = UpstreamClient("up"), {}  # one client, as a module may hold it
    of_the_page: dict[str, Any] = {}
    exec(next(block for block in blocks("howto/tenants.rst", "python") if "sync_orders" in block), of_the_page)
    for name in TENANTS:
        pair = TokenPair(f"access-of-{name}", f"refresh-of-{name}")
        said[f"adopt {name}"] = in_tenant(name, partial(client.adopt, pair))
        in_tenant(name, partial(UpstreamClient("crm").adopt, pair))
        said[f"task {name}"] = of_the_page["sync_orders"](name)["token"]
    for name in (*TENANTS, *TENANTS):
        said[f"call {name}"] = in_tenant(name, lambda: client.get("orders/").json()["token"])
    print(json.dumps("expire"), flush=True)
    sys.stdin.readline()
    with ThreadPoolExecutor(8) as threads:  # both tenants refresh at the same moment
        calls = [
            threads.submit(in_tenant, name, lambda: UpstreamClient("up").get("orders/").json()["token"])
            for name in TENANTS * 4
        ]
    said["together"] = [call.result() for call in calls]
    for name in TENANTS:
        said[f"stored {name}"] = in_tenant(name, lambda: Credential.objects.get(upstream="up").pair.refresh)

    def log_all_out() -> int:
        rows = list(Credential.objects.all())
        return len(bulk.do_each(lambda row: str(log_out(row.upstream, row.account)), rows).said)

    said["logged out of acme"] = in_tenant(TENANTS[0], log_all_out)
    for name in TENANTS:
        said[f"left at {name}"] = in_tenant(name, Credential.objects.exclude(state="logged_out").count)
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
