"""What is done to a prepared request, and to the error of one, around its sending; knows no token."""

from __future__ import annotations

from requests import PreparedRequest, RequestException, Response
from requests.exceptions import UnrewindableBodyError
from requests.utils import rewind_body

from jwt_upstream.exceptions import BodyNotReplayable

_LEFT = "_jwt_upstream_has_left"


def mark_as_left(request: PreparedRequest) -> None:
    """Note that a redirect led this request, and so those that follow from it, out of the origin."""
    setattr(request, _LEFT, True)


def has_left(request: PreparedRequest) -> bool:
    """Tell whether a redirect led this request out of the origin, now or earlier."""
    return hasattr(request, _LEFT)


def unchanged(request: PreparedRequest) -> PreparedRequest:
    """Authenticate by nothing at all."""
    return request


def rewind(request: PreparedRequest, first: Response) -> None:
    """Make a body ready to be sent again, from where it began; raises BodyNotReplayable with the first answer."""
    if request.body is None or isinstance(request.body, str | bytes | bytearray):
        return
    try:
        # No number: no tell(), as with generators, or one that failed, as with pipes.
        if not isinstance(request._body_position, int):
            raise UnrewindableBodyError
        rewind_body(request)
    except (UnrewindableBodyError, ValueError):
        text = "the token is fresh now, but this body can't be sent again; call again with a new one, or with bytes"
        raise BodyNotReplayable(text, response=first) from None


def clean(error: RequestException, request: PreparedRequest) -> None:
    """Take the token out of an error: out of its request, and out of the frames of those who sent it."""
    error.request = request
    link: BaseException | None = error
    while link is not None:
        link.__traceback__ = None
        link = link.__cause__ or link.__context__
