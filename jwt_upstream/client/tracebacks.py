"""Takes the token out of an error that a call raises: out of its request, and out of its traceback's frames."""

from __future__ import annotations

from types import TracebackType

from requests import PreparedRequest, RequestException

#: The local variables of their functions hold the headers that are sent.
_SENDERS = {"requests", "urllib3", "http", "ssl", "socket"}


def without_token(error: BaseException, request: PreparedRequest) -> None:
    """Give an error the request that has no token, and drop the frames of the libraries that sent the one with it."""
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
