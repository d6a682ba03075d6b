"""What a view wrote before it failed, with ATOMIC_REQUESTS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.http import HttpRequest
from ninja import NinjaAPI
from rest_framework.views import APIView

from jwt_upstream.exceptions import NotLoggedIn
from jwt_upstream.views import answer_upstream_errors
from jwt_upstream.views.ninja import add_exception_handler
from jwt_upstream.views.rest_framework import exception_handler

from .conftest import Site

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _atomic_requests(db: None) -> Iterator[None]:
    connection.settings_dict["ATOMIC_REQUESTS"] = True
    yield
    connection.settings_dict["ATOMIC_REQUESTS"] = False


def plain(request: HttpRequest) -> Any:
    """Write, then fail."""
    Group.objects.create(name="x")
    raise NotLoggedIn("no")


def of_drf() -> Callable[..., Any]:
    """Return the same as a view of DRF."""

    class View(APIView):  # type: ignore[misc]  # DRF has no types
        authentication_classes = ()

        def get_exception_handler(self) -> Any:
            return exception_handler

        def get(self, request: Any) -> Any:
            plain(request)

    made: Callable[..., Any] = View.as_view()
    return made


def of_ninja() -> Any:
    """Return the same as an API of Django Ninja."""
    api = NinjaAPI(urls_namespace="transactions")
    add_exception_handler(api)
    api.get("")(plain)
    return api.urls


@pytest.mark.parametrize(
    ("view", "middleware"),
    [
        (plain, ["jwt_upstream.views.UpstreamErrorMiddleware"]),
        (answer_upstream_errors(plain), []),
        (of_drf(), []),
        (of_ninja(), []),
    ],
    ids=["middleware", "decorator", "DRF", "Ninja"],
)
def test_rolled_back(site: Site, settings: Any, view: Any, middleware: list[str]) -> None:
    """It is rolled back, and nothing that was written before the request: this test's own transaction goes on."""
    settings.MIDDLEWARE = middleware
    assert site(orders=view).get("/orders/").status_code == 503
    assert not Group.objects.exists()
