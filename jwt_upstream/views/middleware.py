"""A middleware that answers, for every view of a project."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils.deprecation import MiddlewareMixin
from requests import RequestException

from jwt_upstream.exceptions import UpstreamError

from .responses import negotiated


class UpstreamErrorMiddleware(MiddlewareMixin):
    """Answers the visitor of a view, sync or async, that raised UpstreamError; see ``docs/howto/error_pages.rst``.

    Mistakes in the code (BodyNotReplayable, ForeignOrigin, UpstreamNotConfigured) still reach Django's error reports.
    A subclass may have more ``errors`` answered, such as ``requests.Timeout``.
    """

    errors: tuple[type[RequestException], ...] = (UpstreamError,)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Return the answer; None leaves the error to Django."""
        return negotiated(request, exception) if isinstance(exception, self.errors) else None
