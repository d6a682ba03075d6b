"""The PHP League's OAuth 2.0 Server, and Laravel Passport, which is based on it."""

from __future__ import annotations

from .core import Rule, Verdict
from .oauth2 import OAuth2Backend

_INVALID = r"^The refresh token is invalid\b"


class PassportBackend(OAuth2Backend):
    """league/oauth2-server; checked against the source of 5.1 to 9.4.1, with Laravel Passport 12.3.

    Refresh tokens can be used once; a refresh also revokes the access token issued with the old one.
    """

    login_path = "oauth/token"
    authorize_path = "./authorize"
    client_authentication = "post"
    message_paths = ("hint", *OAuth2Backend.message_paths)  # "Token has been revoked"
    rules = (
        # ``invalid_request`` up to version 8, and a 401 since version 6.
        Rule(Verdict.REJECTED, ("refresh",), (400, 401), json="error_description", pattern=_INVALID),
        Rule(Verdict.REJECTED, ("refresh",), (400, 401), json="message", pattern=_INVALID),
    )
