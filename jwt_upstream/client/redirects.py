"""Which hops of a redirect have left the upstream's origin, after which no hop gets the token any more."""

from __future__ import annotations

from requests import PreparedRequest

# On the request itself: a caller who follows redirects by hand sends ``response.next`` later, and by then it is the
# only thing that knows where it came from.
_LEFT = "_jwt_upstream_has_left"


def mark_as_left(request: PreparedRequest) -> None:
    """Note that a redirect led this request, and so those that follow from it, out of the origin."""
    setattr(request, _LEFT, True)


def has_left(request: PreparedRequest) -> bool:
    """Tell whether a redirect led this request out of the origin, now or earlier."""
    return hasattr(request, _LEFT)
