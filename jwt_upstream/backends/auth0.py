"""Auth0."""

from __future__ import annotations

from .core import TOKEN_REQUESTS, Rule, Verdict
from .oauth2 import OAuth2Backend

_BLOCKED = r"^user is blocked\b|\baccount has been blocked\b"


class Auth0Backend(OAuth2Backend):
    """Auth0; checked against its lists of errors, its SDKs and reports of users, as of 2026.

    ``domain`` is that of the tenant, such as ``example.eu.auth0.com``, and ``audience`` the API's identifier, without
    which the access token is opaque and valid for ``/userinfo`` only.
    """

    domain: str = ""
    audience: str = ""
    login_path = "https://{domain}/oauth/token"
    authorize_path = "../authorize"  # Authentication API, "Authorize application"
    authorize_params = {"audience": "{audience}"}
    client_authentication = "post"
    revoke_path = "./revoke"  # of refresh tokens only (Authentication API, "Revoke refresh token")
    revoke_fields = {"token": "{refresh}"}
    device_path = "./device/code"  # "Call your API using the Device Authorization Flow"
    # "Rate Limit Policy": a Unix timestamp.
    rate_limit_headers = {"X-RateLimit-Remaining": "remaining", "X-RateLimit-Reset": "epoch"}
    _grant_options = ("scope", "audience")
    rules = (
        # A blocked user gets 401 ``unauthorized``, at a refresh 403 ``invalid_grant``, and after too many wrong
        # passwords 429. ``unauthorized`` with other words is from a rule of the tenant, which refuses this login.
        Rule(Verdict.LOCKED, TOKEN_REQUESTS, (400, 401, 403, 429), json="error_description", pattern=_BLOCKED),
        Rule(Verdict.REJECTED, ("login",), (401,), json="error", pattern=r"^unauthorized$"),
        Rule(Verdict.LOCKED, TOKEN_REQUESTS, (401,), json="error", pattern=r"^(unauthorized|password_leaked)$"),
        # Older tenants say ``access_denied``, which is about the application otherwise.
        Rule(Verdict.REJECTED, ("refresh",), (403,), json="error_description", pattern=r"^Unknown or invalid refresh"),
        Rule(Verdict.REJECTED, TOKEN_REQUESTS, (403,), json="error", pattern=r"^mfa_\w+$"),
    )
