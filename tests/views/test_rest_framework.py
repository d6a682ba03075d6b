"""The exception handler in views of Django REST framework itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core import mail
from django.http import HttpResponse
from rest_framework.exceptions import Throttled
from rest_framework.renderers import JSONRenderer, StaticHTMLRenderer
from rest_framework.views import APIView

from jwt_upstream.exceptions import ForeignOrigin, RefreshUnavailable
from jwt_upstream.views.rest_framework import exception_handler

from .conftest import Site


def view(error: Exception) -> Callable[..., HttpResponse]:
    """Return a view of DRF that raises an error."""

    class Orders(APIView):  # type: ignore[misc]  # DRF has no types
        authentication_classes = ()
        renderer_classes = (JSONRenderer, StaticHTMLRenderer)

        def get_exception_handler(self) -> Any:
            return exception_handler

        def get(self, request: Any) -> Any:
            raise error

    made: Callable[..., HttpResponse] = Orders.as_view()
    return made


@pytest.mark.parametrize(
    ("accept", "type_"),
    [("application/json", "application/problem+json"), ("text/html", "text/html; charset=utf-8")],
)
def test_negotiated_format(site: Site, caplog: pytest.LogCaptureFixture, accept: str, type_: str) -> None:
    """A problem is given in the format that DRF negotiated, without a mail and with one line in the log."""
    response = site(orders=view(RefreshUnavailable("no", retry_after=3))).get("/orders/", headers={"Accept": accept})
    assert (response.status_code, response["Content-Type"], response["Retry-After"]) == (503, type_, "3")
    assert "Service Unavailable" in response.content.decode()
    assert mail.outbox == []
    assert caplog.messages == ["GET /orders/ was answered by 503: no"]


def test_errors_of_drf(site: Site) -> None:
    """What DRF raises is answered as by its own handler."""
    response = site(orders=view(Throttled(wait=9))).get("/orders/")
    assert (response.status_code, response["Retry-After"]) == (429, "9")


def test_mistakes_are_reported(site: Site) -> None:
    """A mistake in the code reaches Django's report."""
    assert site(orders=view(ForeignOrigin("no"))).get("/orders/").status_code == 500
    assert len(mail.outbox) == 1
