"""Django REST framework with djangorestframework-simplejwt."""

from __future__ import annotations

from .base import Backend
from .verdicts import Rule, Verdict


class SimpleJWTBackend(Backend):
    """djangorestframework-simplejwt; checked against live 5.5.1.

    A wrong password and a disabled user get the same bytes at login. For a deleted user 5.5.1 answers a refresh with
    an HTML page and status 500 for ever, which counts as an upstream in trouble.
    """

    login_path = "token/"
    refresh_path = "token/refresh/"
    refresh_fields = {"refresh": "{refresh}"}
    access_paths = ("access",)
    refresh_paths = ("refresh",)
    rules = (
        Rule(Verdict.LOCKED, where=("api",), json="code", pattern=r"^(user_inactive|user_not_found)$", status=(401,)),
        Rule(Verdict.LOCKED, where=("refresh",), json="detail", pattern=r"^No active account found", status=(401,)),
        # Projects with SessionAuthentication listed first answer 403 where 401 belongs (no challenge to send).
        Rule(
            Verdict.EXPIRED,
            where=("api",),
            json="detail",
            pattern=r"^(Authentication credentials were not provided|Given token not valid)",
            status=(403,),
        ),
    )
