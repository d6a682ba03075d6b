"""The code of docs/howto/error_pages.rst, and the answer that it shows."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
import responses
from django.utils.module_loading import import_string

from jwt_upstream.exceptions import UpstreamError
from jwt_upstream.testing import logged_in
from jwt_upstream.views import UpstreamErrorMiddleware
from tests.support.pages import blocks

from .conftest import Site

PAGE = "howto/error_pages.rst"


@pytest.fixture
def code() -> dict[str, Any]:
    """What the code of the page defines."""
    found: dict[str, Any] = {"__name__": "views"}
    for block in blocks(PAGE, "python"):
        exec(block, found)
    return found


def test_answer(db: None, site: Site, code: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    """A view whose upstream nobody has logged in to is answered as the page shows."""
    response = site(orders=code["orders"]).get("/orders/")
    assert response.status_code == 503
    assert response.json() == json.loads(next(blocks(PAGE, "json")))
    assert [(record.upstream, record.account) for record in caplog.records] == [("crm", "default")]  # type: ignore[attr-defined]  # of our own


@responses.activate
def test_errors_of_requests(db: None, site: Site, code: dict[str, Any]) -> None:
    """An upstream that can't be reached is answered for where the page names that error."""
    logged_in("crm")
    visitor = site(orders=code["orders"], invoices=code["invoices"])
    for name, status in (("orders", 500), ("invoices", 502)):
        responses.get(f"https://crm.example.com/api/{name}/", body=requests.ConnectionError("refused"))
        assert visitor.get(f"/{name}/").status_code == status


def test_names(code: dict[str, Any]) -> None:
    """The settings of the page name what there is."""
    assert import_string(code["MIDDLEWARE"][0]) is UpstreamErrorMiddleware
    assert issubclass(code["GatewayMiddleware"], UpstreamErrorMiddleware)
    assert code["GatewayMiddleware"].errors[0] is UpstreamError
