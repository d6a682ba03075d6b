"""Laravel with jwt-auth, tymon's or PHP-Open-Source-Saver's."""

from __future__ import annotations

from requests import PreparedRequest

from jwt_upstream.tokens import TokenPair

from .base import Backend
from .core import Rule, Verdict

_MESSAGES = ("message", "error")


class LaravelJWTBackend(Backend):
    """Laravel with jwt-auth; checked against the source of PHP-Open-Source-Saver 2.8, and tymon 2.1 and 0.5.

    There is one token: a refresh sends the access token, expired or not, returns a new one and invalidates the old
    one. If the refresh route is protected, as in the quick start, the token must not have expired. The new token is in
    the body, or with the ``jwt.refresh`` middleware in the response's ``Authorization`` header.
    """

    login_path = "auth/login"
    refresh_path = "auth/refresh"
    login_fields = {"email": "{username}", "password": "{password}"}
    refresh_fields = {}
    refresh_headers = {"Authorization": "Bearer {access}"}
    revoke_path = "./logout"  # the quick start's route, which puts the token on jwt-auth's blacklist
    revoke_headers = {"Authorization": "Bearer {access}"}
    access_paths = ("access_token", "authorisation.token", "token", "header:Authorization")
    refresh_paths = ()
    rules = (
        # Not in answer to calls, where it is as likely about the user that was asked for.
        Rule(Verdict.LOCKED, ("refresh",), (401, 404), json=_MESSAGES, pattern=r"^user[ _]not[ _]found"),
        # The messages of a JWTException. An uncaught one is a 500, whose message a production site hides.
        Rule(
            Verdict.REJECTED,
            ("refresh",),
            (400, 401, 500),
            json=_MESSAGES,
            pattern=r"can no longer be refreshed|has been blacklisted|^token_(expired|invalid)$"
            r"|^Token Signature could not be verified|^Could not decode token|^(Wrong number of|Malformed) ",
        ),
    )

    def authorize(self, request: PreparedRequest, pair: TokenPair) -> None:
        """Add the access token; ask for JSON, or Laravel redirects a call with a dead token to its login page."""
        super().authorize(request, pair)
        if request.headers.get("Accept", "*/*") == "*/*":
            request.headers["Accept"] = "application/json"
