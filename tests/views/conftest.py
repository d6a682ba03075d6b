"""A site whose views fail: each raises the error that a test gives it."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from django.http import HttpRequest
from django.test import Client
from django.urls import path

Failing = Callable[..., Any]
Site = Callable[..., Client]


@pytest.fixture
def site(settings: Any) -> Site:
    """What serves views, each below its name, and returns a visitor's browser."""

    def serve(**views: Failing) -> Client:
        urls = ModuleType("urls")
        urls.urlpatterns = [path(f"{name}/", view) for name, view in views.items()]  # type: ignore[attr-defined]  # Django looks for it
        settings.ROOT_URLCONF = urls
        return Client(raise_request_exception=False)

    return serve


@pytest.fixture
def failing() -> Callable[[Exception], Failing]:
    """What returns a view that raises an error."""

    def make(error: Exception) -> Failing:
        def view(request: HttpRequest) -> Any:
            raise error

        return view

    return make
