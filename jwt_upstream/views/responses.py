"""The answer to a visitor, as a page or as ``application/problem+json`` (RFC 9457), and its one line in the log."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template import TemplateDoesNotExist, loader
from django.utils.cache import add_never_cache_headers, patch_vary_headers
from django.utils.translation import gettext

from jwt_upstream.backends.core import cause
from jwt_upstream.exceptions import UpstreamError
from jwt_upstream.names import harmless

from .outcomes import retry_after, status

PROBLEM = "application/problem+json"
#: What a client that takes everything gets is the first: a browser names text/html.
_TYPES = [PROBLEM, "application/json", "text/html"]
_TEMPLATE = "jwt_upstream/unavailable.html"

logger = logging.getLogger("jwt_upstream")


def negotiated(request: HttpRequest, error: Exception) -> HttpResponse | None:
    """Return a page or a problem, as the visitor's Accept header asks; None for an error that Django is to report."""
    found = status(error)
    if found is None:
        return None
    page = _page(found, error) if request.get_preferred_type(_TYPES) == "text/html" else None
    response = page or JsonResponse(problem(found), status=found, content_type=PROBLEM)
    patch_vary_headers(response, ["Accept"])
    return finished(response, request, error)


def as_problem(request: HttpRequest, error: Exception) -> HttpResponse | None:
    """Return a problem whatever the Accept header says; None for an error that Django is to report."""
    found = status(error)
    if found is None:
        return None
    return finished(JsonResponse(problem(found), status=found, content_type=PROBLEM), request, error)


def _page(found: HTTPStatus, error: Exception) -> HttpResponse | None:
    # Without the request and its context processors, as Django renders 500.html: one of them may call upstreams.
    context = {"status": found.value, "retry_after": retry_after(error)}
    try:
        return HttpResponse(loader.render_to_string(_TEMPLATE, context), status=found)
    except TemplateDoesNotExist:  # the project has no templates, or not Django's
        return None


def problem(found: HTTPStatus) -> dict[str, Any]:
    """Return the members of a problem; they say nothing of the upstream, which the visitor need not know."""
    detail = gettext("This needs another service, which is not available at the moment.")
    return {"type": "about:blank", "title": found.phrase, "status": found.value, "detail": detail}


def finished(response: HttpResponse, request: HttpRequest, error: Exception) -> HttpResponse:
    """Give an answer its headers, and log the error.

    Django then neither logs the answer as an error nor mails it: of an incident admins are told once.
    """
    seconds = retry_after(error)
    if seconds is not None:
        response["Retry-After"] = str(seconds)
    add_never_cache_headers(response)
    _log(response, request, error)
    return response


def _log(response: HttpResponse, request: HttpRequest, error: Exception) -> None:
    # The texts of requests have whole URLs, and with them whatever secrets are in a query.
    said = str(error) if isinstance(error, UpstreamError) else cause(error)
    credential = getattr(error, "credential", None)
    extra = {
        "upstream": credential.upstream if credential else "",
        "account": credential.account if credential else "",
        "event": "view_failed",
        "status_code": response.status_code,
    }
    what = f"{request.method} {harmless(request.path)}"
    logger.warning("%s was answered by %d: %s", what, response.status_code, said, extra=extra)
    # What django.utils.log.log_response() sets, and looks at; its own records can't have our fields.
    response._has_been_logged = True  # type: ignore[attr-defined]
