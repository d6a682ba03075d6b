"""Django REST framework with drf-jwt."""

from __future__ import annotations

from .base import Backend
from .core import TOKEN_REQUESTS, Rule, Verdict

_MESSAGES = ("detail", "non_field_errors")


class DRFJWTBackend(Backend):
    """drf-jwt, and djangorestframework-jwt which it was forked from; checked against 1.19.2.

    There is one token. A refresh sends the access token, which must not have expired, and only within seven days of
    the login, whose time is kept; after that another login is needed. All refusals are 400, with the message in
    ``non_field_errors``.
    """

    login_path = "api-token-auth/"
    refresh_path = "api-token-refresh/"
    refresh_fields = {"token": "{access}"}
    access_paths = ("token",)
    refresh_paths = ()
    rules = (
        # In answer to a call, a 401 "User account is disabled." locks by the default rules.
        Rule(
            Verdict.LOCKED, TOKEN_REQUESTS, (400, 401, 403), json=_MESSAGES, pattern=r"^User account is disabled\.?$"
        ),
        Rule(Verdict.LOCKED, ("refresh",), (400, 401, 403), json=_MESSAGES, pattern=r"^User doesn't exist\.?$"),
        Rule(
            Verdict.REJECTED,
            ("refresh",),
            (400,),
            json="non_field_errors",
            pattern=r"^(Token|Refresh) has expired|^Token is blacklisted|^Error decoding token|^Invalid token",
        ),
        Rule(Verdict.REJECTED, ("login",), (400,), json="non_field_errors", pattern=r"^Unable to log ?in"),
        # Of the request's own token (authentication.py, blacklist/permissions.py).
        Rule(Verdict.EXPIRED, ("api",), (403,), json="detail", pattern=r"^(Token is|You have been) blacklisted\.$"),
    )
