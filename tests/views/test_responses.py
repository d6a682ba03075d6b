"""What a visitor gets in place of an error, and what is logged of it."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import requests
from django.http import HttpResponse
from django.test import RequestFactory
from django.utils import translation

from jwt_upstream.exceptions import CredentialRejected, ForeignOrigin, RefreshUnavailable
from jwt_upstream.models import Credential
from jwt_upstream.views.responses import as_problem, negotiated

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
ERROR = CredentialRejected(
    "crm/acme has been rejected", credential=Credential(upstream="crm", account="acme"), reason="HTTP 401 hunter2"
)


def answer(accept: str = "", error: Exception = ERROR, path: str = "/orders/") -> HttpResponse:
    """Return the answer to a request with this Accept header."""
    headers = {"Accept": accept} if accept else {}
    response = negotiated(RequestFactory().get(path, headers=headers), error)
    assert response is not None
    return response


@pytest.mark.parametrize(
    ("accept", "type_"),
    [
        (BROWSER, "text/html; charset=utf-8"),
        ("text/*", "text/html; charset=utf-8"),
        ("text/html;q=0.5, application/json", "application/problem+json"),
        ("application/problem+json", "application/problem+json"),
        ("application/json, */*;q=0.1", "application/problem+json"),
        ("*/*", "application/problem+json"),
        ("", "application/problem+json"),
        ("image/png", "application/problem+json"),
    ],
)
def test_accept(accept: str, type_: str) -> None:
    """Whoever names text/html, as browsers do, gets a page; programs get a problem."""
    response = answer(accept)
    assert (response.status_code, response["Content-Type"]) == (503, type_)
    assert response["Vary"] == "Accept"
    assert "no-store" in response["Cache-Control"]


def test_visitor_learns_nothing_of_the_upstream() -> None:
    """Neither page nor problem names the upstream, the account or a reason."""
    for accept in (BROWSER, "*/*"):
        text = answer(accept).content.decode()
        assert "not available at the moment" in text
        assert not [word for word in ("crm", "acme", "rejected", "hunter2", "upstream") if word in text]


def test_problem() -> None:
    """The problem has the members of RFC 9457, with the phrase of its status as the title."""
    response = as_problem(
        RequestFactory().get("/", headers={"Accept": BROWSER}), RefreshUnavailable("", retry_after=7)
    )
    assert response is not None
    assert response["Content-Type"] == "application/problem+json"
    assert response["Retry-After"] == "7"
    assert response.content.decode() == (
        '{"type": "about:blank", "title": "Service Unavailable", "status": 503, '
        '"detail": "This needs another service, which is not available at the moment."}'
    )


def test_page_in_another_language() -> None:
    """The page says which language it is in, and in which direction that is read."""
    assert '<html lang="en-us" dir="ltr">' in answer(BROWSER).content.decode()
    with translation.override("ar"):
        assert '<html lang="ar" dir="rtl">' in answer(BROWSER).content.decode()


def test_page_of_the_project(settings: Any) -> None:
    """A project's own template takes the place of ours, and knows the status and when to try again."""
    page = "{{ status }}|{{ retry_after }}|{{ request.path }}"
    loaders = [("django.template.loaders.locmem.Loader", {"jwt_upstream/unavailable.html": page})]
    backend = "django.template.backends.django.DjangoTemplates"
    settings.TEMPLATES = [{"BACKEND": backend, "OPTIONS": {"loaders": loaders}}]
    assert answer(BROWSER, RefreshUnavailable("", retry_after=7)).content == b"503|7|"


def test_project_without_templates(settings: Any) -> None:
    """A browser gets a problem where no page can be made."""
    settings.TEMPLATES = []
    assert answer(BROWSER)["Content-Type"] == "application/problem+json"


def test_log(caplog: pytest.LogCaptureFixture) -> None:
    """A warning says what was asked, how it was answered and why, in one line without control characters."""
    answer(path="/a%0Ab/")
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("jwt_upstream", logging.WARNING)
    assert record.getMessage() == "GET /a\\nb/ was answered by 503: crm/acme has been rejected"
    fields = {"upstream": "crm", "account": "acme", "event": "view_failed", "status_code": 503}
    assert fields.items() <= vars(record).items()


def test_log_of_an_error_of_requests(caplog: pytest.LogCaptureFixture) -> None:
    """What requests says has whole URLs, so only the kind of error is logged."""
    answer(error=requests.ReadTimeout("https://x.example.com/?key=hunter2"))
    assert caplog.messages == ["GET /orders/ was answered by 504: ReadTimeout"]


@pytest.mark.parametrize("error", [ForeignOrigin("no"), ValueError("no")], ids=repr)
def test_mistakes(error: Exception) -> None:
    """A mistake in the code is left to Django."""
    request = RequestFactory().get("/")
    assert negotiated(request, error) is None
    assert as_problem(request, error) is None
