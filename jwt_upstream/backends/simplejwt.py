"""Django REST framework with djangorestframework-simplejwt, with or without dj-rest-auth."""

from __future__ import annotations

from .base import Backend
from .core import Rule, Verdict

_NOT_AUTHENTICATED = r"^Authentication credentials were not provided\.$"


class SimpleJWTBackend(Backend):
    """djangorestframework-simplejwt; checked against a running 5.5.1, the source of 5.2 to 5.4, and dj-rest-auth 7.2.

    A login answers a wrong password and a disabled user alike. A refresh ignores the state of the user before 5.4. In
    5.4 and 5.5 it answers with an HTML page and status 500 for a deleted user, every time, which looks like an
    upstream that is down; later versions say that there is no active account.

    A logout blacklists the refresh token, if the server has the app ``token_blacklist`` and its view beside that of
    the login (``TokenBlacklistView``). The access token is good until it expires.
    """

    login_path = "token/"
    refresh_path = "token/refresh/"
    refresh_fields = {"refresh": "{refresh}"}
    revoke_path = "./blacklist/"
    revoke_fields = {"refresh": "{refresh}"}
    access_paths = ("access",)
    refresh_paths = ("refresh",)
    expires_at_paths = ("access_expiration",)  # dj-rest-auth, if so configured
    refresh_expires_at_paths = ("refresh_expiration",)
    rules = (
        # Codes of JWTAuthentication alone (authentication.py), which reads nothing but the request's own token.
        Rule(Verdict.LOCKED, ("api",), (401, 403), json="code", pattern=r"^(user_inactive|user_not_found)$"),
        Rule(Verdict.LOCKED, ("refresh",), (401, 403), json="detail", pattern=r"^No active account found"),
        # Projects whose first authentication class is SessionAuthentication answer 403 instead of 401 (no challenge).
        Rule(Verdict.EXPIRED, ("api",), (403,), json="code", pattern=r"^(token_not_valid|password_changed)$"),
        Rule(Verdict.EXPIRED, ("api",), (403,), json="detail", pattern=_NOT_AUTHENTICATED),
    )
