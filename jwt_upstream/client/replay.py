"""Sending exactly the same body again: which bodies can be, and how they are rewound."""

from __future__ import annotations

from typing import Any

from requests import PreparedRequest, Response
from requests.exceptions import UnrewindableBodyError
from requests.utils import rewind_body

from jwt_upstream.exceptions import BodyNotReplayable


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
        text = "the token was refreshed, but this body can't be sent again; call again with a new body, or with bytes"
        raise BodyNotReplayable(text, response=first) from None
