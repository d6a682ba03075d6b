"""Laravel with jwt-auth, tymon's or PHP-Open-Source-Saver's."""

from __future__ import annotations

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
    access_paths = ("access_token", "authorisation.token", "token", "header:Authorization")
    refresh_paths = ()
    rules = (
        Rule(Verdict.LOCKED, ("api", "refresh"), (401, 404), json=_MESSAGES, pattern=r"^user[ _]not[ _]found"),
        # The messages of a JWTException. An uncaught one is a 500, whose message a production site hides.
        Rule(
            Verdict.REJECTED,
            ("refresh",),
            (400, 401, 500),
            json=_MESSAGES,
            pattern=r"can no longer be refreshed|has been blacklisted|^token_(expired|invalid)$"
            r"|^Token Signature could not be verified|^Could not decode token|^(Wrong number of|Malformed) ",
        ),
        # Laravel redirects a call that doesn't accept JSON to the login page instead.
        Rule(Verdict.EXPIRED, ("api",), (302,), header="Location", pattern=r"/login/?$"),
        # 0.5 answers a malformed or missing token with 400.
        Rule(Verdict.EXPIRED, ("api",), (400,), json="error", pattern=r"^token_(invalid|not_provided|absent)$"),
    )
