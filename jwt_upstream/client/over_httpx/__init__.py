"""Sends calls by httpx2 or httpx, waiting or awaited, as ``UpstreamClient`` sends them by requests."""

from __future__ import annotations

from .async_client import AsyncUpstreamClient
from .auth import UpstreamAuth
from .transport import UpstreamTransport

__all__ = ["AsyncUpstreamClient", "UpstreamAuth", "UpstreamTransport"]
