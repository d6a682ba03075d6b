"""Clients of httpx2 and httpx that call with the token: a transport, an ``auth=``, and the client for async views."""

from __future__ import annotations

from jwt_upstream.client.over_httpx import AsyncUpstreamClient, UpstreamAuth, UpstreamTransport

__all__ = ["AsyncUpstreamClient", "UpstreamAuth", "UpstreamTransport"]
