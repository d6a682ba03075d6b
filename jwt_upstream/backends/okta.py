"""Okta."""

from __future__ import annotations

from .core import TOKEN_REQUESTS, Rule, Verdict
from .oauth2 import OAuth2Backend

#: User locked, password expired, account locked, no access to the account, user not active (error-codes.json).
_ACCOUNT_CODES = r"^E0000(064|069|085|119|155)$"
_ACCOUNT = r"^Password has expired|password is expired|^User (is not assigned|status is invalid)"


class OktaBackend(OAuth2Backend):
    """Okta; checked against its developer documentation of August 2026 (``oauth2-error-codes``, ``error-codes``).

    ``domain`` is the organization's, such as ``example.okta.com``; ``authorization_server`` is the id of a custom
    authorization server. For tokens of Okta's own API, set ``login_path`` to ``https://{domain}/oauth2/v1/token``.
    """

    domain: str = ""
    authorization_server: str = "default"
    login_path = "https://{domain}/oauth2/{authorization_server}/v1/token"
    authorize_path = "./authorize"  # OpenID Connect & OAuth 2.0 API, "Authorize a request"
    revoke_path = "./revoke"  # with a refresh token it ends the access token too (guide "Revoke tokens")
    device_path = "./device/authorize"  # guide "Configure Device Authorization Grant Flow"
    message_paths = ("error_description", "errorSummary", "error")
    # "Rate limit best practices": UTC epoch time in seconds.
    rate_limit_headers = {"X-Rate-Limit-Remaining": "remaining", "X-Rate-Limit-Reset": "epoch"}
    rules = (
        Rule(Verdict.LOCKED, TOKEN_REQUESTS, (401, 403, 423), json="errorCode", pattern=_ACCOUNT_CODES),
        Rule(Verdict.LOCKED, TOKEN_REQUESTS, (400, 403), json="error_description", pattern=_ACCOUNT),
        # The Authentication API answers with 200 whatever the state of the user.
        Rule(Verdict.LOCKED, ("login",), (200,), json="status", pattern=r"^(LOCKED_OUT|PASSWORD_EXPIRED)$"),
        Rule(Verdict.REJECTED, ("login",), (200,), json="status", pattern=r"^MFA_\w+$"),
        Rule(Verdict.REJECTED, TOKEN_REQUESTS, (403,), json="error", pattern=r"^mfa_required$"),
        # The user has no permission to use the feature; the token is still valid.
        Rule(Verdict.PASS, ("api",), (401,), json="errorCode", pattern=r"^E0000015$"),
    )
