"""Django REST framework with djangorestframework-simplejwt, by itself or below dj-rest-auth."""

from __future__ import annotations

from .base import Backend
from .core import Rule, Verdict


class SimpleJWTBackend(Backend):
    """djangorestframework-simplejwt; checked against live 5.5.1, the source of 5.2 to 5.4, and dj-rest-auth 7.2.

    A wrong password and a disabled user get the same bytes at login. Before 5.4 a refresh doesn't look at the user; in
    5.4 and 5.5 it answers for a deleted one with an HTML page and status 500 for ever, which counts as an upstream in
    trouble; later versions say that there is no active account.
    """

    login_path = "token/"
    refresh_path = "token/refresh/"
    refresh_fields = {"refresh": "{refresh}"}
    access_paths = ("access",)
    refresh_paths = ("refresh",)
    expires_at_paths = ("access_expiration",)  # dj-rest-auth, on request
    refresh_expires_at_paths = ("refresh_expiration",)
    rules = (
        Rule(Verdict.LOCKED, ("api",), (401, 403), json="code", pattern=r"^(user_inactive|user_not_found)$"),
        Rule(Verdict.LOCKED, ("refresh",), (401, 403), json="detail", pattern=r"^No active account found"),
        # Projects with SessionAuthentication listed first answer 403 where 401 belongs (no challenge to send).
        Rule(
            Verdict.EXPIRED, ("api",), (403,), json="code", pattern=r"^(token_not_valid|password_changed|bad_auth\w+)$"
        ),
    )
