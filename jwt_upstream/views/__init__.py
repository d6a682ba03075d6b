"""Answers visitors whose view could not call an upstream: by middleware, decorator or an API framework's handler."""

from __future__ import annotations

from .decorator import answer_upstream_errors
from .middleware import UpstreamErrorMiddleware

__all__ = ["UpstreamErrorMiddleware", "answer_upstream_errors"]
