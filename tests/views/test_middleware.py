"""The middleware: visitors are answered, admins get no mail for each of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from django.core import mail
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.test import AsyncClient

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import BodyNotReplayable, ForeignOrigin, NotLoggedIn, UpstreamNotConfigured
from jwt_upstream.views import UpstreamErrorMiddleware
from tests.support.upstream import Answer, Upstream

from .conftest import Failing, Site


@pytest.fixture(autouse=True)
def _middleware(settings: Any) -> None:
    settings.MIDDLEWARE = ["jwt_upstream.views.UpstreamErrorMiddleware"]


def test_upstream_that_is_down(
    client: UpstreamClient, upstream: Upstream, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """A view whose token can't be refreshed is answered by 503; no mail for each visitor, and one line in the log."""
    upstream.access.clear()
    upstream.answers["/refresh"] = Answer(503, {}, headers={"Retry-After": "20"})
    visitor = site(orders=lambda request: HttpResponse(client.get("orders/")))
    mail.outbox.clear()
    responses = [visitor.get("/orders/") for _ in range(2)]
    assert [response.status_code for response in responses] == [503, 503]
    assert 1 <= int(responses[0]["Retry-After"]) <= 20
    assert mail.outbox == []
    assert [record.name for record in caplog.records if "was answered by" in record.getMessage()] == [
        "jwt_upstream",
        "jwt_upstream",
    ]
    assert "django.request" not in {record.name for record in caplog.records}


@pytest.mark.parametrize(
    "error", [BodyNotReplayable("no"), ForeignOrigin("no"), UpstreamNotConfigured("no"), ValueError("no")], ids=repr
)
def test_mistakes_are_reported(site: Site, failing: Callable[[Exception], Failing], error: Exception) -> None:
    """A mistake in the code is a 500, of which Django mails its report."""
    assert site(orders=failing(error)).get("/orders/").status_code == 500
    assert [type(error).__name__ in str(message.body) for message in mail.outbox] == [True]


def test_errors_of_requests(
    site: Site, failing: Callable[[Exception], Failing], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What requests raises is answered by a subclass that names it, and otherwise not."""
    visitor = site(orders=failing(requests.ReadTimeout()))
    assert visitor.get("/orders/").status_code == 500
    settings.MIDDLEWARE = [f"{__name__}.WithTimeouts"]
    visitor = site(orders=failing(requests.ReadTimeout()))
    assert visitor.get("/orders/").status_code == 504


class WithTimeouts(UpstreamErrorMiddleware):
    """As docs/howto/error_pages.rst has it."""

    errors = (*UpstreamErrorMiddleware.errors, requests.Timeout)


def test_async_view(site: Site) -> None:
    """An async view is answered as well, under ASGI as under WSGI."""

    async def orders(request: HttpRequest) -> HttpResponse:
        raise NotLoggedIn("no")

    assert site(orders=orders).get("/orders/").status_code == 503
    assert asyncio.run(AsyncClient().get("/orders/")).status_code == 503


class Orders:
    """What a template shows, and what calls only then."""

    def __iter__(self) -> Iterator[str]:
        raise NotLoggedIn("no")


def test_template_that_calls(site: Site, settings: Any) -> None:
    """A response that is rendered after the view has returned is a view's."""
    loaders = [("django.template.loaders.locmem.Loader", {"orders.html": "{% for order in orders %}{% endfor %}"})]
    backend = "django.template.backends.django.DjangoTemplates"
    settings.TEMPLATES = [{"BACKEND": backend, "OPTIONS": {"loaders": loaders}}]
    visitor = site(orders=lambda request: TemplateResponse(request, "orders.html", {"orders": Orders()}))
    assert visitor.get("/orders/").status_code == 503


def test_streaming_response(site: Site) -> None:
    """What fails after the headers were sent can't be answered: the server breaks the connection off."""

    def rows() -> Iterator[bytes]:
        yield b"1"
        raise NotLoggedIn("no")

    response = site(orders=lambda request: StreamingHttpResponse(rows())).get("/orders/")
    assert (response.status_code, response.streaming) == (200, True)
    with pytest.raises(NotLoggedIn):
        b"".join(response)
