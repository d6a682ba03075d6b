"""Microsoft Entra ID (Azure AD)."""

from __future__ import annotations

from .core import TOKEN_REQUESTS, Rule, Verdict
from .oauth2 import OAuth2Backend

# IdsLocked, UserDisabled (also of guests), passwords that have expired or must be changed, users blocked for risk.
_ACCOUNT_CODES = r"^(50053|50057|500571|50055|50144|50135|53011|530034)$"
_GRANT_ERRORS = r"^(invalid_grant|(interaction|login|consent)_required)$"
# The user doesn't exist any more; at a login the name may be misspelled.
_GONE_CODES = r"^(50034|51004)$"
# Retryable errors of Entra, of identity providers behind it and of Active Directory agents, throttling, and
# LoopDetected: too many identical requests in a short time, with ``invalid_grant``.
_BUSY_CODES = r"^(40010|50000|50033|50087|50088|50166|50196|70012|8000[1257]|80014|90006|90025|90033|90055)$"


class EntraBackend(OAuth2Backend):
    """Microsoft Entra ID, v2.0 endpoint; checked against Microsoft's documentation as of 2026.

    ``tenant`` is the directory's id or domain. ``scope`` is sent with logins and refreshes, such as
    ``https://graph.microsoft.com/.default offline_access``. Set ``login_path`` for national clouds.
    """

    tenant: str = ""
    login_path = "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token"
    authorize_path = "./authorize"  # "OAuth 2.0 authorization code flow"
    client_authentication = "post"
    device_path = "./devicecode"  # "OAuth 2.0 device authorization grant"; a public client sets no client_secret
    _refresh_options = ("scope",)
    rules = (
        # By number only, since the texts change.
        Rule(Verdict.LOCKED, TOKEN_REQUESTS, (400, 401, 403), json="error_codes", pattern=_ACCOUNT_CODES),
        Rule(Verdict.LOCKED, ("refresh",), (400, 401, 403), json="error_codes", pattern=_GONE_CODES),
        Rule(Verdict.TRANSIENT, TOKEN_REQUESTS, json="error_codes", pattern=_BUSY_CODES),
        Rule(Verdict.REJECTED, TOKEN_REQUESTS, (400, 401, 403), json="error", pattern=_GRANT_ERRORS),
        # Azure Log Analytics: ballerina-platform/module-ballerina-oauth2, issue 17.
        Rule(Verdict.EXPIRED, ("api",), (403,), json="error.code", pattern=r"^InvalidTokenError$"),
        # Continuous access evaluation revoked the token; any other ``insufficient_claims`` requires a step-up.
        Rule(Verdict.EXPIRED, ("api",), (401,), pattern=r"\bTokenIssuedBeforeRevocationTimestamp\b"),
    )
