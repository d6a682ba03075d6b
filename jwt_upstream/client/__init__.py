"""Sends one call with a good token, and once more with a new one if the upstream refuses it."""

from __future__ import annotations

from .upstream_client import UpstreamClient

__all__ = ["UpstreamClient"]
