"""Retries of idempotent calls when an upstream is unreachable or busy; off by default."""

from __future__ import annotations

import math
from typing import Any

from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter
from urllib3 import Retry
from urllib3.exceptions import MaxRetryError, ReadTimeoutError, ResponseError

from jwt_upstream.backends.core import retry_after
from jwt_upstream.clock import host_now
from jwt_upstream.process import random_numbers

from .pool import BorrowingAdapter
from .replay import can_be_repeated

_BUSY = frozenset({502, 503, 504})
#: RFC 9110, section 9.2.2.
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
#: Seconds: the first repetition comes at once, the second after up to three of these, twice as many with each further.
_BACKOFF = 0.25


class _Retry(Retry):
    """urllib3's, but a server that is too slow isn't asked again, nor one that wants a longer backoff than allowed."""

    RETRY_AFTER_STATUS_CODES = frozenset({429, 503})

    def get_retry_after(self, response: Any) -> float | None:
        return retry_after(response, host_now(), math.inf)

    def get_backoff_time(self) -> float:
        seconds = super().get_backoff_time()
        return seconds and min(seconds + random_numbers().uniform(0, _BACKOFF), self.backoff_max)

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: Any = None,
        error: Exception | None = None,
        _pool: Any = None,
        _stacktrace: Any = None,
    ) -> _Retry:
        if isinstance(error, ReadTimeoutError):
            raise error
        if response is not None and (self.get_retry_after(response) or 0) > self.backoff_max:
            raise MaxRetryError(_pool, url or "", ResponseError("Retry-After"))  # the answer goes to the caller
        return super().increment(method, url, response, error, _pool, _stacktrace)


class _Retrying(BorrowingAdapter):
    """Sends more than once if the call is idempotent and its body can be repeated."""

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        if _is_idempotent(request) and can_be_repeated(request):
            return super().send(request, *args, **kwargs)
        return BorrowingAdapter().send(request, *args, **kwargs)


def _is_idempotent(request: PreparedRequest) -> bool:
    return request.method in _IDEMPOTENT or "Idempotency-Key" in request.headers


def adapter_for(retries: int, backoff_max: float) -> BaseAdapter:
    """Return a new adapter that repeats a call so many times, with a backoff of at most so many seconds."""
    return _Retrying(max_retries=_policy(retries, backoff_max)) if retries else BorrowingAdapter()


def _policy(retries: int, backoff_max: float) -> Retry:
    return _Retry(
        retries,
        other=0,
        allowed_methods=None,
        status_forcelist=_BUSY,
        raise_on_status=False,
        backoff_factor=_BACKOFF,
        backoff_max=backoff_max,
    )
