"""Retries of idempotent calls when an upstream is unreachable or busy; off by default."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any, Self

from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter
from urllib3 import Retry
from urllib3.exceptions import MaxRetryError, ReadTimeoutError, ResponseError

from jwt_upstream.backends import Backend
from jwt_upstream.backends.core import asked_wait
from jwt_upstream.clock import host_now
from jwt_upstream.process import random_numbers

from .pool import BorrowingAdapter
from .replay import can_be_repeated

_BUSY = frozenset({502, 503, 504})
#: Repeated only if the answer says when: too many requests, and 403 where settings name headers of rate limits.
_TOO_MANY, _FORBIDDEN = 429, 403
#: RFC 9110, section 9.2.2.
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
#: Seconds: the first repetition comes at once, the second after up to three of these, twice as many with each further.
_BACKOFF = 0.25
#: By which part of itself a wait that was asked for is lengthened at most, besides.
_JITTER = 0.1


class _Retry(Retry):
    """urllib3's, but a server that is too slow isn't asked again, nor one that wants a longer backoff than allowed."""

    RETRY_AFTER_STATUS_CODES = frozenset({_TOO_MANY, 503})
    rate_limit_headers: Mapping[str, str] = {}

    def new(self, **changed: Any) -> Self:
        after = super().new(**changed)
        after.rate_limit_headers = self.rate_limit_headers
        return after

    def get_retry_after(self, response: Any) -> float | None:
        return asked_wait(response.status, response.headers, self.rate_limit_headers, host_now(), math.inf)

    def sleep_for_retry(self, response: Any) -> bool:
        seconds = self.get_retry_after(response)
        if seconds:
            time.sleep(lengthened(seconds, self.backoff_max))
        return bool(seconds)

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
        if response is not None and not self._may_wait_for(response):
            raise MaxRetryError(_pool, url or "", ResponseError("Retry-After"))  # the answer goes to the caller
        return super().increment(method, url, response, error, _pool, _stacktrace)

    def _may_wait_for(self, response: Any) -> bool:
        seconds = self.get_retry_after(response)
        if seconds is None:
            return response.status in _BUSY
        return seconds <= self.backoff_max


def lengthened(seconds: float, most: float) -> float:
    """Return a wait that is somewhat longer, at most ``most``: those who were told the same moment don't meet then."""
    return min(seconds + random_numbers().uniform(0, _BACKOFF + seconds * _JITTER), most)


class _Retrying(BorrowingAdapter):
    """Sends more than once if the call is idempotent and its body can be repeated."""

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        if _is_idempotent(request) and can_be_repeated(request):
            return super().send(request, *args, **kwargs)
        return BorrowingAdapter().send(request, *args, **kwargs)


def _is_idempotent(request: PreparedRequest) -> bool:
    return request.method in _IDEMPOTENT or "Idempotency-Key" in request.headers


def adapter_for(backend: Backend) -> BaseAdapter:
    """Return a new adapter that repeats calls as the options ``retries`` and ``retry_backoff_max`` say."""
    return _Retrying(max_retries=_policy(backend)) if backend.retries else BorrowingAdapter()


def _policy(backend: Backend) -> Retry:
    kinds = backend.rate_limit_headers
    policy = _Retry(
        backend.retries,
        other=0,
        allowed_methods=None,
        status_forcelist=_BUSY | {_TOO_MANY} | ({_FORBIDDEN} if kinds else set()),
        raise_on_status=False,
        backoff_factor=_BACKOFF,
        backoff_max=backend.retry_backoff_max,
    )
    policy.rate_limit_headers = kinds
    return policy
