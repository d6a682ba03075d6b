"""A schema for each tenant (django-tenants): never one tenant's token in another's call, nor in its schema."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection

from jwt_upstream.store import connections
from tests.support.upstream import Answer, Seen, Upstream


def test_tenant_of_a_connection() -> None:
    """What a connection looks at is known by its tenant, by its schema alone, or not at all."""
    assert connections.Tenant.of(connection) is None
    assert connections.scope("default") == ("default", "")
    looks: list[Any] = []
    other = SimpleNamespace(set_tenant=looks.append, set_schema=looks.append)
    for there in (SimpleNamespace(schema_name="acme", tenant="Acme"), SimpleNamespace(schema_name="globex")):
        tenant = connections.Tenant.of(there)  # type: ignore[arg-type]
        assert tenant is not None
        tenant.apply_to(other)
    assert looks == ["Acme", "globex"]


def test_private_connection_follows_the_tenant(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread of our own looks at the schema that its caller looks at, and the caller's key is in its scope."""
    looks: list[Any] = []
    monkeypatch.setattr(type(connection._connections["default"]), "set_schema", looks.append, raising=False)  # type: ignore[attr-defined]
    monkeypatch.setattr(connection, "schema_name", "acme", raising=False)
    assert connections.scope("default") == ("default", "acme")
    assert connections.in_own_thread("default", lambda: "done").result(20) == "done"
    assert len(looks) == 1


class Tenants:
    """Answers as an upstream at which each tenant has a pair of its own."""

    def __init__(self, upstream: Upstream) -> None:
        self.spent: list[str] = []
        self.access = {"access-of-acme", "access-of-globex"}
        upstream.answers |= {"/refresh": self.refresh, "/orders/": self.call}

    def refresh(self, seen: Seen) -> Answer:
        used = seen.json()["refresh"]
        self.spent.append(used)
        name = used.rpartition("-")[2]
        self.access.add(f"new-access-of-{name}")
        return Answer(200, {"access": f"new-access-of-{name}", "refresh": f"new-refresh-of-{name}"})

    def call(self, seen: Seen) -> Answer:
        return Answer(200, {"token": seen.token}) if seen.token in self.access else Answer(401, {})


@pytest.fixture
def database() -> Iterator[dict[str, Any]]:
    """A database of its own on the suite's server."""
    name = f"{connection.settings_dict['NAME']}_tenants"
    with connection.cursor() as cursor:
        cursor.execute(f'DROP DATABASE IF EXISTS "{name}"')
        cursor.execute(f'CREATE DATABASE "{name}"')
    told = connection.settings_dict
    yield {"NAME": name, **{key: told[key] for key in ("HOST", "PORT", "USER", "PASSWORD")}}
    with connection.cursor() as cursor:
        cursor.execute(f'DROP DATABASE IF EXISTS "{name}"')


@pytest.mark.slow
@pytest.mark.skipif(connection.vendor != "postgresql", reason="django-tenants needs PostgreSQL")
def test_schema_for_each_tenant(upstream: Upstream, transactional_db: None, database: dict[str, Any]) -> None:
    """Two tenants with accounts of the same names keep them apart, from adopting to logging several out at once."""
    pytest.importorskip("django_tenants")
    tenants = Tenants(upstream)
    environment = {**os.environ, "TENANTS_DATABASE": json.dumps(database)}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    command = [sys.executable, "-m", "tests.support.tenants", upstream.url]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as site:
        assert site.stdout is not None
        assert site.stdin is not None
        assert site.stdout.readline() == '"expire"\n', site.communicate(timeout=60)[1]
        tenants.access = set()
        out, err = site.communicate("go\n", timeout=120)
    assert site.returncode == 0, err
    said = json.loads(out.splitlines()[-1])
    assert said == {
        "adopt acme": None,
        "adopt globex": None,
        "task acme": "access-of-acme",
        "task globex": "access-of-globex",
        "call acme": "access-of-acme",
        "call globex": "access-of-globex",
        "together": ["new-access-of-acme", "new-access-of-globex"] * 4,
        "stored acme": "new-refresh-of-acme",
        "stored globex": "new-refresh-of-globex",
        "logged out of acme": 2,
        "left at acme": 0,
        "left at globex": 2,
    }
    assert sorted(tenants.spent) == ["refresh-of-acme", "refresh-of-globex"]
