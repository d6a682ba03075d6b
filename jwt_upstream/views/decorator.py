"""A decorator that answers, for some views of a project."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial, wraps
from inspect import iscoroutine
from typing import Any, TypeVar, cast, overload

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest
from requests import RequestException

from jwt_upstream.exceptions import UpstreamError

from .responses import negotiated
from .transactions import roll_back

View = TypeVar("View", bound=Callable[..., Any])
Errors = tuple[type[RequestException], ...]


@overload
def answer_upstream_errors(view: View) -> View: ...
@overload
def answer_upstream_errors(view: None = None, *, also: Errors = ()) -> Callable[[View], View]: ...
def answer_upstream_errors(view: View | None = None, *, also: Errors = ()) -> View | Callable[[View], View]:
    """Answer the visitor of a view, sync or async, that raised UpstreamError, or an error that ``also`` names.

    As UpstreamErrorMiddleware does, but for this view only. For a class: ``answer_upstream_errors(Orders.as_view())``,
    or ``method_decorator(answer_upstream_errors, name="dispatch")``.
    """
    if view is None:
        return partial(_answering, errors=(UpstreamError, *also))
    return _answering(view, errors=(UpstreamError,))


def _answering(view: View, errors: Errors) -> View:
    @wraps(view)
    def answering(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            response = view(request, *args, **kwargs)
        except errors as error:
            roll_back()
            if answer := negotiated(request, error):
                return answer
            raise
        return _awaited(response, request, errors) if iscoroutine(response) else response

    if iscoroutinefunction(view):
        markcoroutinefunction(answering)
    return cast(View, answering)


async def _awaited(response: Awaitable[Any], request: HttpRequest, errors: Errors) -> Any:
    # Django admits no async view with ATOMIC_REQUESTS, so there is nothing to roll back.
    try:
        return await response
    except errors as error:
        if answer := negotiated(request, error):
            return answer
        raise
