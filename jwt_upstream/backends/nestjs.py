"""NestJS with passport, and other servers on Node with the same habits (Express, express-jwt, Fastify)."""

from __future__ import annotations

from .base import Backend
from .core import Rule, Verdict


class NestJSBackend(Backend):
    """NestJS; checked against the source of @nestjs 12, passport-jwt 4, express-jwt 8 and @fastify/jwt 10.

    Paths, fields and texts are each application's own; these are the customary ones. A guard says ``Unauthorized`` of
    every token that it doesn't like, so what is wrong with one is never known.
    """

    login_path = "auth/login"
    refresh_path = "auth/refresh"
    refresh_fields = {"refreshToken": "{refresh}"}
    access_paths = ("access_token", "accessToken", "token", "data.access_token", "data.accessToken")
    refresh_paths = ("refresh_token", "refreshToken", "data.refresh_token", "data.refreshToken")
    expires_in_paths = ("expires_in", "expiresIn")
    rules = (
        # Passport without Nest: the status in words, as plain text.
        Rule(Verdict.REJECTED, ("login", "refresh"), (401,), pattern=r"^\"?Unauthorized\"?$"),
        # What is customary where the stored hash of the refresh token is another one by now.
        Rule(Verdict.REJECTED, ("refresh",), (403,), json="message", pattern=r"^Access denied\.?$"),
    )
