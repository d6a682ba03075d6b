"""The tables in the database; looked at with ``check --database`` only."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Warning
from django.db import connections, router
from django.db.migrations.loader import MigrationLoader

from jwt_upstream.models import Credential
from jwt_upstream.names import listed
from jwt_upstream.store import queries

_APP = Credential._meta.app_label


def check_tables(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Warn of migrations that the database of the credentials lacks.

    Where the schema that the connection looks at is not for this app, as the public one of django-tenants may not be,
    there is nothing to warn of.
    """
    # Django's migrate looks at the database before it applies what would be warned of.
    if sys.argv[1:2] == ["migrate"]:
        return []
    using = queries.database()
    if using not in (databases or ()) or not router.allow_migrate_model(using, Credential):
        return []
    loader = MigrationLoader(connections[using], ignore_no_migrations=True)
    known = {key for key in loader.graph.nodes if key[0] == _APP}
    missing = sorted(name for app, name in known - loader.applied_migrations.keys())
    if not missing:
        return []
    text = f"The database {using!r} lacks migrations of jwt_upstream, so calls and logins fail: {listed(missing)}."
    hint = f"Run manage.py migrate jwt_upstream --database {using}."
    return [Warning(text, hint=hint, id="jwt_upstream.W009")]
