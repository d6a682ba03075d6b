"""Strapi with its users and permissions plugin."""

from __future__ import annotations

from .base import Backend
from .core import TOKEN_REQUESTS, Rule, Verdict

_LOCKED = r"blocked by an administrator|account email is not confirmed"


class StrapiBackend(Backend):
    """Strapi 4 and 5; checked against the source of @strapi/plugin-users-permissions 5.54.0 and @strapi/core 5.54.0.

    ``username`` may be an e-mail address. Only Strapi 5 with ``jwtManagement: "refresh"`` has refresh tokens.
    Otherwise there is one token for 30 days, and then a new login is needed (``LOGIN``). A blocked user can still
    refresh; only calls are refused.
    """

    login_path = "auth/local"
    refresh_path = "auth/refresh"
    login_fields = {"identifier": "{username}", "password": "{password}"}
    refresh_fields = {"refreshToken": "{refresh}"}
    access_paths = ("jwt",)
    refresh_paths = ("refreshToken", "cookie:strapi_up_refresh")
    message_paths = ("error.message",)
    rules = (
        # Not in answer to calls: an application may log its own users in by one. To a blocked user's call Strapi says
        # 401 "Invalid credentials", as applications say of a wrong password.
        Rule(Verdict.LOCKED, TOKEN_REQUESTS, (400, 403), json="error.message", pattern=_LOCKED),
        Rule(Verdict.REJECTED, ("login",), (400,), json="error.message", pattern=r"^Invalid identifier or password$"),
        Rule(Verdict.REJECTED, ("refresh",), (401,), json="error.message", pattern=r"^Invalid refresh token$"),
        # The role "Public" has no permission to log in or to refresh.
        Rule(Verdict.CONFIG, ("login", "refresh"), (401, 403), json="error.message"),
    )
