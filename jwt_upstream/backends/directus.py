"""Directus."""

from __future__ import annotations

from .base import Backend
from .core import REFUSALS, TOKEN_REQUESTS, Rule, Verdict

_CODE = "errors.0.extensions.code"
_CONFIG = r"^(INVALID_IP|INVALID_PROVIDER|INVALID_PROVIDER_CONFIG|RESOURCE_RESTRICTED|FORBIDDEN)$"


class DirectusBackend(Backend):
    """Directus; checked against the source of @directus/api 23.3.2 and 39.2.1 and @directus/errors 2.5.2.

    ``username`` is an e-mail address. ``INVALID_CREDENTIALS`` means at a login that the password is wrong or the user
    suspended, at a refresh that the token is no longer valid, and in answer to a call that its session has ended. With
    ``mode`` "json" the tokens are in the body. Lifetimes are in milliseconds.
    """

    login_path = "auth/login"
    refresh_path = "auth/refresh"
    login_fields = {"email": "{username}", "password": "{password}", "mode": "json"}
    refresh_fields = {"refresh_token": "{refresh}", "mode": "json"}
    revoke_path = "./logout"  # api/src/controllers/auth.ts
    revoke_fields = {"refresh_token": "{refresh}", "mode": "json"}
    access_paths = ("data.access_token",)
    refresh_paths = ("data.refresh_token", "cookie:directus_refresh_token")
    expires_in_paths = ("data.expires",)
    lifetime_unit = "ms"
    message_paths = ("errors.0.message",)
    rules = (
        # Only a refresh says it (api/src/services/authentication.ts); a call that gets it was somebody else's refresh.
        Rule(Verdict.LOCKED, TOKEN_REQUESTS, json=_CODE, pattern=r"^USER_SUSPENDED$"),
        Rule(Verdict.REJECTED, ("login", "refresh"), json=_CODE, pattern=r"^INVALID_(CREDENTIALS|OTP|TOKEN)$"),
        # Limits of the licence, such as the number of users; rate limits are 429.
        Rule(Verdict.TRANSIENT, ("login", "refresh"), json=_CODE, pattern=r"^LIMIT_EXCEEDED$"),
        Rule(Verdict.CONFIG, ("login", "refresh"), json=_CODE, pattern=_CONFIG),
        # A signature that is not the server's. GraphQL is behind the same check (api/src/app.ts): its answers with 200
        # are about the tokens of invitations and password resets.
        Rule(Verdict.EXPIRED, ("api",), (403,), json=_CODE, pattern=r"^INVALID_TOKEN$"),
        # Also a 401, but a fresh token would not help: the IP address is not allowed, or a second factor was wrong.
        Rule(Verdict.PASS, ("api",), REFUSALS, json=_CODE, pattern=r"^INVALID_(IP|OTP)$"),
    )
