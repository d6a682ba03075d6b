"""Redirects: where one leads, and which hops have left the upstream's origin, after which none gets the token."""

from __future__ import annotations

from types import SimpleNamespace

from requests import PreparedRequest, Response

# On the request itself: a caller who follows redirects by hand sends ``response.next`` later, and by then it is the
# only thing that knows where it came from.
_LEFT = "_jwt_upstream_has_left"


def mark_as_left(request: PreparedRequest) -> None:
    """Note that a redirect led this request, and so those that follow from it, out of the origin."""
    setattr(request, _LEFT, True)


def has_left(request: PreparedRequest) -> bool:
    """Tell whether a redirect led this request out of the origin, now or earlier."""
    return hasattr(request, _LEFT)


def without_body(response: Response) -> Response:
    """Return a redirect as one whose body was read: requests would read all of it to find out where it leads."""
    bare = Response()
    bare.__dict__.update(response.__dict__)
    bare._content, bare._content_consumed = b"", True
    bare.raw = SimpleNamespace(_original_response=getattr(response.raw, "_original_response", None))  # its cookies
    return bare
