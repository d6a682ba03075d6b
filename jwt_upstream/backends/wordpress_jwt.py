"""WordPress with one of the plugins whose login is at ``jwt-auth/v1/token``."""

from __future__ import annotations

from .base import Backend
from .core import REFUSALS, TOKEN_REQUESTS, Rule, Verdict


class WordPressJWTBackend(Backend):
    """WordPress; checked against the source of JWT Authentication for WP REST API 1.3 and JWT Auth (Useful Team) 3.

    The first has no refresh, and its tokens last a week. Those of the second last ten minutes; its login sets a
    refresh token as a cookie, which is valid for thirty days and is not replaced by a refresh.
    """

    login_path = "jwt-auth/v1/token"
    refresh_path = ""
    refresh_fields = {}
    refresh_headers = {"Cookie": "refresh_token={refresh}"}
    access_paths = ("token", "data.token")
    refresh_paths = ("cookie:refresh_token",)
    rules = (
        Rule(
            Verdict.CONFIG,
            TOKEN_REQUESTS,
            json="code",
            pattern=r"^jwt_auth_(bad_config|unsupported_|no_auth_|missing_)",
        ),
        Rule(Verdict.CONFIG, TOKEN_REQUESTS, json="code", pattern=r"\bempty_(username|password)$"),
        # WordPress Multisite, and plugins with which an administrator approves users.
        Rule(
            Verdict.LOCKED, TOKEN_REQUESTS, json="code", pattern=r"\b(spammer_account|pending_approval|denied_access)$"
        ),
        # The plugins' own codes, each about the header of the request.
        Rule(Verdict.LOCKED, ("api",), (401, 403), json="code", pattern=r"^jwt_auth_user_not_found$"),
        Rule(Verdict.PASS, ("api",), REFUSALS, json="code", pattern=r"^jwt_auth_(bad_config|unsupported_)"),
        Rule(
            Verdict.EXPIRED,
            ("api",),
            (401, 403),
            json="code",
            pattern=r"^jwt_auth_((invalid|obsolete)_token|(bad|no)_auth_header|bad_iss|bad_request)$",
        ),
    )
