"""An exception handler for Django REST framework, which has to be installed before this can be imported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse
from rest_framework.response import Response
from rest_framework.views import exception_handler as default_handler

from jwt_upstream.exceptions import UpstreamError

from .outcomes import status
from .responses import PROBLEM, finished, problem
from .transactions import roll_back

__all__ = ["exception_handler"]


def exception_handler(exc: Exception, context: Mapping[str, Any]) -> HttpResponse | None:
    """Answer UpstreamError by a problem in the format that was negotiated, and all else as DRF's own handler does.

    For the setting EXCEPTION_HANDLER, or to be called by a handler of your own in the place of DRF's.
    """
    found = status(exc) if isinstance(exc, UpstreamError) else None
    if found is None:
        response: HttpResponse | None = default_handler(exc, context)
        return response
    roll_back()
    request = context["request"]
    renderer = getattr(request, "accepted_renderer", None)
    is_json = getattr(renderer, "format", "json") == "json"
    answer = Response(problem(found), status=found, content_type=PROBLEM if is_json else None)
    return finished(answer, request, exc)
