"""The decorator, on sync and async views, as functions and as classes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import requests
from asgiref.sync import iscoroutinefunction
from django.core import mail
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient
from django.utils.decorators import method_decorator
from django.views import View

from jwt_upstream.exceptions import ForeignOrigin, NotLoggedIn
from jwt_upstream.views import answer_upstream_errors

from .conftest import Failing, Site


@answer_upstream_errors
def orders(request: HttpRequest, error: Exception | None = None) -> HttpResponse:
    """Fail, or not."""
    if error:
        raise error
    return HttpResponse("orders")


@answer_upstream_errors
async def awaited(request: HttpRequest, error: Exception | None = None) -> HttpResponse:
    """Fail, or not."""
    await asyncio.sleep(0)
    if error:
        raise error
    return HttpResponse("awaited")


@method_decorator(answer_upstream_errors, name="dispatch")
class Orders(View):
    """Fails."""

    def get(self, request: HttpRequest) -> HttpResponse:
        """Fail."""
        raise NotLoggedIn("no")


@method_decorator(answer_upstream_errors, name="dispatch")
class Awaited(View):
    """Fails."""

    async def get(self, request: HttpRequest) -> HttpResponse:
        """Fail."""
        await asyncio.sleep(0)
        raise NotLoggedIn("no")


@pytest.mark.parametrize("view", [orders, awaited])
def test_view_that_works(site: Site, view: Callable[..., Any]) -> None:
    """The answer of a view that works is left as it is, and the view is still what it was."""
    assert site(orders=view).get("/orders/").content == view.__name__.encode()
    assert iscoroutinefunction(view) is (view is awaited)
    assert view.__doc__ == "Fail, or not."


@pytest.mark.parametrize(
    "view",
    [
        lambda request: orders(request, NotLoggedIn("no")),
        answer_upstream_errors(lambda request: Orders.as_view()(request)),
        Orders.as_view(),
        answer_upstream_errors(Awaited.as_view()),
        Awaited.as_view(),
    ],
    ids=["function", "wrapped", "class", "async class wrapped", "async class"],
)
def test_view_that_fails(site: Site, view: Callable[..., Any]) -> None:
    """The visitor of a view that fails is answered, and no mail is sent."""
    assert site(orders=view).get("/orders/").status_code == 503
    assert asyncio.run(AsyncClient().get("/orders/")).status_code == 503
    assert mail.outbox == []


def test_async_function_that_fails(site: Site) -> None:
    """So is that of an async function."""

    async def view(request: HttpRequest) -> HttpResponse:
        response: HttpResponse = await awaited(request, NotLoggedIn("no"))
        return response

    assert site(orders=view).get("/orders/").status_code == 503


@pytest.mark.parametrize("view", [orders, awaited])
def test_mistakes_are_reported(view: Callable[..., Any]) -> None:
    """A mistake in the code is raised as it was."""
    error = ForeignOrigin("no")
    with pytest.raises(ForeignOrigin) as caught:
        asyncio.run(view(None, error)) if view is awaited else view(None, error)
    assert caught.value is error


def test_errors_of_requests(site: Site, failing: Callable[[Exception], Failing]) -> None:
    """What requests raises is answered where it is named."""
    view = failing(requests.ConnectionError())
    assert site(orders=answer_upstream_errors(view)).get("/orders/").status_code == 500
    named = answer_upstream_errors(also=(requests.ConnectionError, requests.Timeout))(view)
    assert site(orders=named).get("/orders/").status_code == 502
