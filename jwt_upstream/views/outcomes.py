"""Which HTTP status an error is answered by, and which are left to Django; docs/reference/errors.rst is made of it."""

from __future__ import annotations

import math
from http import HTTPStatus

from requests import RequestException, Timeout

from jwt_upstream.exceptions import (
    BodyNotReplayable,
    CredentialError,
    ForeignOrigin,
    LoginRejected,
    RefreshUnavailable,
    UpstreamError,
    UpstreamMisconfigured,
)

#: By class; the nearest one counts. None: a mistake in the code, which Django reports as any other.
_STATUSES: dict[type, HTTPStatus | None] = {
    CredentialError: HTTPStatus.SERVICE_UNAVAILABLE,
    LoginRejected: HTTPStatus.SERVICE_UNAVAILABLE,
    RefreshUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    UpstreamMisconfigured: HTTPStatus.BAD_GATEWAY,
    BodyNotReplayable: None,
    ForeignOrigin: None,
    UpstreamError: HTTPStatus.BAD_GATEWAY,
    Timeout: HTTPStatus.GATEWAY_TIMEOUT,
    RequestException: HTTPStatus.BAD_GATEWAY,
}


def status(error: BaseException) -> HTTPStatus | None:
    """Return the status that an error is answered by; None for one that Django is to report."""
    return next((_STATUSES[cls] for cls in type(error).__mro__ if cls in _STATUSES), None)


def retry_after(error: BaseException) -> int | None:
    """Return in how many whole seconds the visitor may try again, None where nobody knows.

    Only a 503 says so (RFC 9110, section 10.2.3).
    """
    seconds: float | None = getattr(error, "retry_after", None)
    if seconds is None or status(error) != HTTPStatus.SERVICE_UNAVAILABLE:
        return None
    return max(math.ceil(seconds), 1)
