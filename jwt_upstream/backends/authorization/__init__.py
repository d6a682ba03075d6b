"""The way through a browser: where a person is sent to log in and consent (RFC 6749, 4.1), and what comes back."""

from __future__ import annotations

from .request import Authorization, AuthorizationRequest
from .response import AuthorizationResponse

__all__ = ["Authorization", "AuthorizationRequest", "AuthorizationResponse"]
