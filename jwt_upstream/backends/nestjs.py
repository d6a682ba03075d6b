"""NestJS with passport, and other Node.js servers with the same conventions (Express, express-jwt, Fastify)."""

from __future__ import annotations

from .base import Backend
from .core import Rule, Verdict


class NestJSBackend(Backend):
    """NestJS; checked against the source of @nestjs 12, passport-jwt 4, express-jwt 8 and @fastify/jwt 10.

    Each application has its own paths, fields and messages; the defaults are the customary ones. A guard answers every
    invalid token with ``Unauthorized``, so the reason is never known.
    """

    login_path = "auth/login"
    refresh_path = "auth/refresh"
    refresh_fields = {"refreshToken": "{refresh}"}
    access_paths = ("access_token", "accessToken", "token", "data.access_token", "data.accessToken")
    refresh_paths = ("refresh_token", "refreshToken", "data.refresh_token", "data.refreshToken")
    expires_in_paths = ("expires_in", "expiresIn")
    rules = (
        # Passport without Nest answers with the reason phrase as plain text.
        Rule(Verdict.REJECTED, ("login", "refresh"), (401,), pattern=r"^\"?Unauthorized\"?$"),
        # The customary answer if the stored hash is that of another refresh token.
        Rule(Verdict.REJECTED, ("refresh",), (403,), json="message", pattern=r"^Access denied\.?$"),
    )
