"""HubSpot: public apps."""

from __future__ import annotations

from .base import Backend
from .core import Rule, Verdict


class HubSpotBackend(Backend):
    """HubSpot's OAuth for public apps; checked against developers.hubspot.com (oauth/v1, November 2026).

    A login takes a person in a browser, who is asked for ``scope`` and ``optional_scope``. The refresh token stays the
    same. Refusals have a ``status`` in the body, and no ``error``.
    """

    scope: str = ""
    optional_scope: str = ""
    _scope_options = ("optional_scope",)
    login_path = "oauth/v1/token"
    authorize_path = "https://app.hubspot.com/oauth/authorize"  # "Working with OAuth", which has no PKCE
    authorize_params = {"optional_scope": "{optional_scope}"}
    code_challenge_method = ""
    refresh_path = ""
    login_fields = {"grant_type": "authorization_code", "code": "{code}", "redirect_uri": "{redirect_uri}"}
    refresh_fields = {"grant_type": "refresh_token", "refresh_token": "{refresh}"}
    body_format = "form"
    client_authentication = "post"
    access_paths = ("access_token",)
    refresh_paths = ("refresh_token",)
    # "API usage guidelines and limits": how long a window of the limit lasts, which is when it is reset at the latest.
    rate_limit_headers = {
        "X-HubSpot-RateLimit-Remaining": "remaining",
        "X-HubSpot-RateLimit-Interval-Milliseconds": "milliseconds",
    }
    rules = (
        Rule(
            Verdict.REJECTED,
            ("login", "refresh"),
            json="status",
            pattern=r"^((BAD|EXPIRED|INVALID)_REFRESH_TOKEN|(BAD|EXPIRED|INVALID)_AUTH_CODE)$",
        ),
        Rule(Verdict.REJECTED, ("login", "refresh"), json="error", pattern=r"^invalid_grant$"),
        # HubSpot is processing or migrating this account's data; the account is not locked.
        Rule(Verdict.TRANSIENT, ("login", "refresh"), (423, 477)),
        # Any other refusal is about the app: its id, secret or redirect URI, or a wrong path.
        Rule(Verdict.CONFIG, ("login", "refresh"), (401, 403)),
    )
