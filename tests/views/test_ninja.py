"""The exception handler in an API of Django Ninja itself."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from django.core import mail
from django.http import HttpRequest
from django.test import Client
from django.urls import path
from ninja import NinjaAPI

from jwt_upstream.exceptions import ForeignOrigin, RefreshUnavailable
from jwt_upstream.views.ninja import add_exception_handler


@pytest.fixture(scope="module")
def urls() -> ModuleType:
    """The URLs of an API which has the handler; Django Ninja 1.5 makes them once only."""
    api = NinjaAPI(urls_namespace="views")
    add_exception_handler(api)

    @api.get("orders")
    def orders(request: HttpRequest) -> None:
        raise RefreshUnavailable("no", retry_after=3)

    @api.get("awaited")
    async def awaited(request: HttpRequest) -> None:
        raise RefreshUnavailable("no", retry_after=3)

    @api.get("mistake")
    def mistake(request: HttpRequest) -> None:
        raise ForeignOrigin("no")

    urls = ModuleType("urls")
    urls.urlpatterns = [path("", api.urls)]  # type: ignore[attr-defined]  # what Django looks for in such a module
    return urls


@pytest.fixture
def visitor(urls: ModuleType, settings: Any) -> Client:
    """A client of the API."""
    settings.ROOT_URLCONF = urls
    return Client(raise_request_exception=False)


@pytest.mark.parametrize("name", ["orders", "awaited"])
def test_problem(visitor: Client, caplog: pytest.LogCaptureFixture, name: str) -> None:
    """A sync and an async operation are answered by a problem, without a mail and with one line in the log."""
    response = visitor.get(f"/{name}")
    assert (response.status_code, response["Content-Type"]) == (503, "application/problem+json")
    assert response["Retry-After"] == "3"
    assert response.json()["title"] == "Service Unavailable"
    assert mail.outbox == []
    assert caplog.messages == [f"GET /{name} was answered by 503: no"]


def test_mistakes_are_reported(visitor: Client) -> None:
    """A mistake in the code reaches Django's report."""
    assert visitor.get("/mistake").status_code == 500
    assert len(mail.outbox) == 1
