"""The health view and the check for django-health-check."""

from __future__ import annotations

import json
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.http import HttpResponse
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from health_check.exceptions import ServiceUnavailable, ServiceWarning

from jwt_upstream.models import Credential
from jwt_upstream.monitoring import health
from jwt_upstream.monitoring.health_check import Upstreams
from tests.support.rows import put

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _upstreams(settings: Any) -> None:
    backend = {"BACKEND": "jwt_upstream.backends.Backend", "BASE_URL": "https://crm.example.com/"}
    settings.JWT_UPSTREAM = {"crm": backend, "erp": backend}


def ask(query: str = "", method: str = "get") -> tuple[int, Any]:
    """Ask the view; return the status and the JSON."""
    answer: HttpResponse = health(getattr(RequestFactory(), method)(f"/health/{query}"))
    return answer.status_code, json.loads(answer.content or "null")


def test_everything_works() -> None:
    """Where calls can work the answer is a 200, which no cache keeps."""
    put("crm", "ann")
    put("erp")
    assert ask() == (
        200,
        {
            "status": "ok",
            "upstreams": {
                name: {"status": "ok", "credentials": {"active": 1}, "incident": None} for name in ("crm", "erp")
            },
        },
    )
    assert "no-store" in health(RequestFactory().get("/"))["Cache-Control"]


def test_a_person_has_to_act() -> None:
    """A locked account makes it a 503 that names the upstream and not the account; others can be asked for alone."""
    put("crm", "ann-of-acme", state="locked")
    put("erp", failures=1)
    status, answer = ask()
    assert (status, answer["status"], answer["upstreams"]["crm"]["status"]) == (503, "needs_human", "needs_human")
    assert "ann-of-acme" not in str(answer)
    status, answer = ask("?upstream=erp")
    assert (status, answer["status"], [*answer["upstreams"]]) == (200, "degraded", ["erp"])


def test_names_of_whoever_asks(django_assert_max_num_queries: Any) -> None:
    """The view may be public: names that there are not, or a thousand times the same, cost no further queries."""
    put("crm", "ann")
    with CaptureQueriesContext(connection) as one:
        ask("?upstream=crm")
    names = [f"upstream=no-{number}" for number in range(400)] + ["upstream=crm"] * 400
    with django_assert_max_num_queries(len(one)):
        status, answer = ask("?upstream=%00&" + "&".join(names))
    assert (status, answer["upstreams"]["crm"]["status"], answer["upstreams"]["no-7"]["status"]) == (
        503,
        "ok",
        "needs_human",
    )


def test_only_reading() -> None:
    """Only GET and HEAD are answered."""
    assert health(RequestFactory().post("/")).status_code == 405


def test_nothing_is_configured(settings: Any) -> None:
    """Without any upstream all is well, but not with settings that can't have one."""
    settings.JWT_UPSTREAM = {}
    assert ask() == (200, {"status": "ok", "upstreams": {}})
    settings.JWT_UPSTREAM = []
    assert ask() == (503, {"status": "unavailable", "upstreams": {}})


def test_database_is_away() -> None:
    """Without its table or its database nobody can call, so that is a 503, and says nothing of the database."""
    put("crm")
    table = Credential._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO elsewhere")
        try:
            assert ask() == (503, {"status": "unavailable", "upstreams": {}})
        finally:
            cursor.execute(f"ALTER TABLE elsewhere RENAME TO {table}")


def test_django_health_check() -> None:
    """The plugin fails where a person has to act, warns where it may mend itself, and says nothing otherwise."""
    put("crm", "ann-of-acme")
    put("erp", failures=1)
    run = async_to_sync(Upstreams().run)
    async_to_sync(Upstreams("crm").run)()
    with pytest.raises(ServiceWarning, match="degraded: erp"):
        run()
    Credential.objects.filter(upstream="crm").update(state="rejected")
    with pytest.raises(ServiceUnavailable, match=r"a person has to act: crm$"):
        run()
