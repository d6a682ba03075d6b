"""Laravel with jwt-auth, tymon's or PHP-Open-Source-Saver's."""

from __future__ import annotations

from .base import Backend
from .core import Rule, Verdict

_SAID = ("message", "error")


class LaravelJWTBackend(Backend):
    """Laravel with jwt-auth; checked against the source of PHP-Open-Source-Saver 2.8, and tymon 2.1 and 0.5.

    There is one token: a refresh sends the access token, expired or not, gets a new one and makes the old one
    worthless. Where the route of the refresh is guarded, as in the quick start, it must not have expired. The new
    token is in the body, or with the ``jwt.refresh`` middleware in the response's ``Authorization`` header.
    """

    login_path = "auth/login"
    refresh_path = "auth/refresh"
    login_fields = {"email": "{username}", "password": "{password}"}
    refresh_fields = {}
    refresh_headers = {"Authorization": "Bearer {access}"}
    access_paths = ("access_token", "authorisation.token", "token", "header:Authorization")
    refresh_paths = ()
    rules = (
        Rule(Verdict.LOCKED, ("api", "refresh"), (401, 404), json=_SAID, pattern=r"^user[ _]not[ _]found"),
        # The texts of a JWTException; uncaught it is a 500, whose text a production site hides.
        Rule(
            Verdict.REJECTED,
            ("refresh",),
            (400, 401, 500),
            json=_SAID,
            pattern=r"can no longer be refreshed|has been blacklisted|^token_(expired|invalid)$"
            r"|^Token Signature could not be verified|^Could not decode token|^(Wrong number of|Malformed) ",
        ),
        # To a call that doesn't ask for JSON, Laravel says the same by sending it to the login page.
        Rule(Verdict.EXPIRED, ("api",), (302,), header="Location", pattern=r"/login/?$"),
        # 0.5 calls a token that is damaged or missing a bad request.
        Rule(Verdict.EXPIRED, ("api",), (400,), json="error", pattern=r"^token_(invalid|not_provided|absent)$"),
    )
