"""Flask with Flask-JWT-Extended."""

from __future__ import annotations

from .base import Backend
from .core import Rule, Verdict

#: What it and PyJWT say of an invalid token, with status 422.
_UNUSABLE = (
    r"segments|signature|padding|(header|payload) string|\balg\b|algorithm|audience|issuer|\bclaims?\b|not yet valid"
    r"|^Subject must|\b(non-)?refresh tokens are allowed|token type|crypto|^Bad \w+ header"
)


class FlaskJWTExtendedBackend(Backend):
    """Flask-JWT-Extended; checked against live 4.7.4 and the source of 3.25 and 4.4.

    Each application has its own paths; the defaults are those of the documentation. A refresh sends the refresh token
    as a bearer token, without a body, and returns an access token only: the refresh token is kept until it expires.
    """

    login_path = "login"
    refresh_path = "refresh"
    refresh_fields = {}
    refresh_headers = {"Authorization": "Bearer {refresh}"}
    access_paths = ("access_token",)
    refresh_paths = ("refresh_token",)
    rules = (
        # ``user_lookup_loader`` returned no user: a deleted one, or one that the application excludes there.
        Rule(Verdict.LOCKED, ("api", "refresh"), (401,), json="msg", pattern=r"^Error loading the user\b"),
        # Only a login with the password returns a fresh token.
        Rule(Verdict.PASS, ("api",), (401,), json="msg", pattern=r"^Fresh token required"),
        Rule(Verdict.EXPIRED, ("api",), (400, 422), json="msg", pattern=_UNUSABLE),
        Rule(Verdict.REJECTED, ("refresh",), (400, 422), json="msg", pattern=_UNUSABLE),
    )
