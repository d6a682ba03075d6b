"""FastAPI: servers built after its security tutorial, and fastapi-users."""

from __future__ import annotations

from .base import Backend
from .core import Rule, Verdict


class FastAPIBackend(Backend):
    """FastAPI; checked against its tutorial, the source of 0.121 and 0.122, and fastapi-users 15.0.5.

    A login sends a form, as FastAPI's ``OAuth2PasswordRequestForm`` expects. Neither has refresh tokens: configure
    ``LOGIN``, or set ``refresh_path`` if the application has a refresh of its own. The login of fastapi-users is at
    ``auth/jwt/login``.
    """

    login_path = "token"
    body_format = "form"
    login_fields = {"grant_type": "password", "username": "{username}", "password": "{password}"}
    refresh_format = "json"
    access_paths = ("access_token",)
    refresh_paths = ("refresh_token",)
    rules = (
        # The tutorial says the same to a call, with 400; so do applications of any user that a call is about.
        Rule(Verdict.LOCKED, ("login",), (400, 401, 403), json="detail", pattern=r"^Inactive user$"),
        Rule(Verdict.LOCKED, ("login",), (400,), json="detail", pattern=r"^LOGIN_USER_NOT_VERIFIED$"),
        Rule(
            Verdict.REJECTED,
            ("login",),
            (400,),
            json="detail",
            pattern=r"^(Incorrect (username|email) or password|LOGIN_BAD_CREDENTIALS)$",
        ),
        # The tutorial's 401 for a missing scope.
        Rule(Verdict.PASS, ("api",), (401,), json="detail", pattern=r"^Not enough permissions$"),
    )
