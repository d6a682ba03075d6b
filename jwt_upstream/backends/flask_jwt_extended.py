"""Flask with Flask-JWT-Extended."""

from __future__ import annotations

from .base import Backend
from .core import Rule, Verdict

#: What it and PyJWT say of a token that is no good, with the status for content that can't be processed.
_UNUSABLE = (
    r"segments|signature|padding|(header|payload) string|\balg\b|algorithm|audience|issuer|\bclaims?\b|not yet valid"
    r"|^Subject must|\b(non-)?refresh tokens are allowed|token type|crypto|^Bad \w+ header"
)


class FlaskJWTExtendedBackend(Backend):
    """Flask-JWT-Extended; checked against live 4.7.4 and the source of 3.25 and 4.4.

    The paths are each application's own; these are those of its documentation. A refresh sends the refresh token as
    bearer, without a body, and gives an access token only: the refresh token stays the same until it ends.
    """

    login_path = "login"
    refresh_path = "refresh"
    refresh_fields = {}
    refresh_headers = {"Authorization": "Bearer {refresh}"}
    access_paths = ("access_token",)
    refresh_paths = ("refresh_token",)
    rules = (
        # ``user_lookup_loader`` found nobody: deleted, or whatever the application leaves out there.
        Rule(Verdict.LOCKED, ("api", "refresh"), (401,), json="msg", pattern=r"^Error loading the user\b"),
        # A login with the password gives a fresh token, a refresh never does.
        Rule(Verdict.PASS, ("api",), (401,), json="msg", pattern=r"^Fresh token required"),
        Rule(Verdict.EXPIRED, ("api",), (400, 422), json="msg", pattern=_UNUSABLE),
        Rule(Verdict.REJECTED, ("refresh",), (400, 422), json="msg", pattern=_UNUSABLE),
    )
