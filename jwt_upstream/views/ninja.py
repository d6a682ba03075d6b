"""An exception handler for Django Ninja, which has to be installed before this can be imported."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI

from jwt_upstream.exceptions import UpstreamError

from .responses import as_problem
from .transactions import roll_back

__all__ = ["add_exception_handler"]


def add_exception_handler(api: NinjaAPI) -> None:
    """Have an API answer UpstreamError by a problem; mistakes in the code still reach Django's error reports."""
    api.add_exception_handler(UpstreamError, _answer)


def _answer(request: HttpRequest, error: Exception | type[Exception]) -> HttpResponse:
    response = as_problem(request, error) if isinstance(error, Exception) else None
    if response is None:
        raise error
    roll_back()
    return response
