"""What is done to a prepared request, and to the error of one, around its sending; knows no token."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from requests import PreparedRequest, RequestException, Response
from requests.exceptions import UnrewindableBodyError
from requests.utils import rewind_body

from jwt_upstream.exceptions import BodyNotReplayable

_LEFT = "_jwt_upstream_has_left"
#: The variables of their functions hold the headers that are sent.
_SENDERS = {"requests", "urllib3", "http", "ssl", "socket"}


def mark_as_left(request: PreparedRequest) -> None:
    """Note that a redirect led this request, and so those that follow from it, out of the origin."""
    setattr(request, _LEFT, True)


def has_left(request: PreparedRequest) -> bool:
    """Tell whether a redirect led this request out of the origin, now or earlier."""
    return hasattr(request, _LEFT)


def unchanged(request: PreparedRequest) -> PreparedRequest:
    """Authenticate by nothing at all."""
    return request


def note_start(request: PreparedRequest) -> None:
    """Note where a body begins, or that it can't be gone back to, so that no redirect resends what is used up.

    requests notes it for iterables only, doesn't try whether they go back, and notes nothing of generators.
    """
    body: Any = request.body
    if _is_constant(body):
        return
    try:
        start = body.tell() if request._body_position is None else request._body_position
        body.seek(start)
    except (AttributeError, TypeError, OSError, ValueError):
        start = None
    # What requests takes for a place that it can't go back to is any object that is no number.
    request._body_position = start if isinstance(start, int) else object()


def can_be_repeated(request: PreparedRequest) -> bool:
    """Tell whether a request's body can be sent a second time; its start must have been noted."""
    return _is_constant(request.body) or isinstance(request._body_position, int)


def _is_constant(body: Any) -> bool:
    return body is None or isinstance(body, str | bytes | bytearray | memoryview)


def rewind(request: PreparedRequest, first: Response) -> None:
    """Make a body ready to be sent again, from where it began; raises BodyNotReplayable with the first answer."""
    if _is_constant(request.body):
        return
    try:
        if not can_be_repeated(request):
            raise UnrewindableBodyError
        rewind_body(request)
    except (UnrewindableBodyError, ValueError):
        text = "the token is fresh now, but this body can't be sent again; call again with a new one, or with bytes"
        raise BodyNotReplayable(text, response=first) from None


def clean(error: BaseException, request: PreparedRequest) -> None:
    """Take the token out of an error: out of its request, and out of the traceback the frames of those who sent it."""
    if isinstance(error, RequestException):
        error.request = request
    link: BaseException | None = error
    while link is not None:
        link.__traceback__ = _without_senders(link.__traceback__)
        link = link.__cause__ or link.__context__


def _without_senders(traceback: TracebackType | None) -> TracebackType | None:
    if traceback is None:
        return None
    rest = _without_senders(traceback.tb_next)
    if traceback.tb_frame.f_globals["__name__"].partition(".")[0] in _SENDERS:
        return rest
    traceback.tb_next = rest
    return traceback
