"""Flask with Flask-JWT-Extended."""

from __future__ import annotations

from .base import Backend
from .core import Rule, Verdict

#: What it and PyJWT say of an invalid token, with status 422.
_UNUSABLE = (
    r"segments|signature|padding|(header|payload) string|\balg\b|algorithm|audience|issuer|\bclaims?\b|not yet valid"
    r"|^Subject must|\b(non-)?refresh tokens are allowed|token type|crypto|^Bad \w+ header"
)

#: The same as whole sentences, which nothing but a JWT gets (PyJWT, api_jws.py and api_jwt.py).
_NO_TOKEN = (
    r"^(Not enough segments|Invalid (header|payload|crypto) (padding|string: .*)|Signature verification failed"
    r"|The specified alg value is not allowed|Invalid audience|Audience doesn't match|Invalid issuer"
    r"|The token is not yet valid \(\w+\)|Token is missing the \"\w+\" claim|Subject must be a string"
    r"|Only non-refresh tokens are allowed)$"
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
        Rule(Verdict.LOCKED, ("api", "refresh"), (401,), json="msg", pattern=r"^Error loading the user \S+$"),
        # Only a login with the password returns a fresh token.
        Rule(Verdict.PASS, ("api",), (401,), json="msg", pattern=r"^Fresh token required"),
        Rule(Verdict.EXPIRED, ("api",), (422,), json="msg", pattern=_NO_TOKEN),
        Rule(Verdict.REJECTED, ("refresh",), (400, 422), json="msg", pattern=_UNUSABLE),
    )
