"""Microsoft Entra ID (Azure AD)."""

from __future__ import annotations

from .core import TOKEN_REQUESTS, Rule, Verdict
from .oauth2 import OAuth2Backend

# IdsLocked, UserDisabled, the same of a guest, passwords that expired or must be changed, users blocked for risk.
_ACCOUNT_CODES = r"^(50053|50057|500571|50055|50144|50135|53011|530034)$"
_GRANT_ERRORS = r"^(invalid_grant|(interaction|login|consent)_required)$"
# The user is gone; at a login it may as well be a mistyped name.
_GONE_CODES = r"^(50034|51004)$"
# Retryable errors of Entra, of providers behind it and of the agents in front of an Active Directory, throttling, and
# LoopDetected: too many equal requests in too short a time, said with ``invalid_grant``.
_BUSY_CODES = r"^(40010|50000|50033|50087|50088|50166|50196|70012|8000[1257]|80014|90006|90025|90033|90055)$"


class EntraBackend(OAuth2Backend):
    """Microsoft Entra ID, v2.0 endpoint; checked against Microsoft's documentation as of 2026.

    ``tenant`` is the directory's id or domain; ``scope`` goes along with logins and refreshes, such as
    ``https://graph.microsoft.com/.default offline_access``. For national clouds set ``login_path``.
    """

    tenant: str = ""
    login_path = "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token"
    client_authentication = "post"
    _refresh_options = ("scope",)
    rules = (
        # By number only: the texts change, and an app must work without either.
        Rule(Verdict.LOCKED, TOKEN_REQUESTS, (400, 401, 403), json="error_codes", pattern=_ACCOUNT_CODES),
        Rule(Verdict.LOCKED, ("refresh",), (400, 401, 403), json="error_codes", pattern=_GONE_CODES),
        Rule(Verdict.TRANSIENT, TOKEN_REQUESTS, json="error_codes", pattern=_BUSY_CODES),
        Rule(Verdict.REJECTED, TOKEN_REQUESTS, (400, 401, 403), json="error", pattern=_GRANT_ERRORS),
        # Continuous access evaluation: the token was revoked; other ``insufficient_claims`` want a step up.
        Rule(Verdict.EXPIRED, ("api",), (401,), pattern=r"\bTokenIssuedBeforeRevocationTimestamp\b"),
    )
