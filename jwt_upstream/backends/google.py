"""Google's OAuth 2 for users (Google APIs, Workspace)."""

from __future__ import annotations

from .core import Rule, Verdict
from .oauth2 import OAuth2Backend

_ACCOUNT = r"^((The )?account (has been |is )?(deleted|disabled|suspended|restricted)|Robot is disabled)\b"


class GoogleBackend(OAuth2Backend):
    """Google; checked against what google-auth 2 handles and reports of users, as of 2026.

    Google has no password grant: a person consents in a browser, for which ``scope`` must be set. The answer to a
    refresh has no refresh token; the first one stays valid. A logout takes back the user's consent to this app, so
    other tokens of the same user and app end with it.
    """

    login_path = "https://oauth2.googleapis.com/token"
    client_authentication = "post"
    grant_type = "authorization_code"
    authorize_path = "https://accounts.google.com/o/oauth2/v2/auth"
    # "Using OAuth 2.0 for web server applications": only with both does each consent bring a refresh token.
    authorize_params = {"access_type": "offline", "prompt": "consent"}
    issuer = "https://accounts.google.com"  # its discovery document
    revoke_path = "./revoke"  # "Using OAuth 2.0 for web server applications", "Revoking a token"
    revoke_fields = {"token": "{token}"}
    revoke_authentication = "none"
    device_path = "./device/code"  # "OAuth 2.0 for TV and limited-input device applications"
    device_authentication = "none"  # the secret is sent with the polls only
    message_paths = ("error_description", "error_subtype", "error.message", "error")
    rules = (
        Rule(Verdict.LOCKED, ("refresh",), (400, 401, 403), json="error_description", pattern=_ACCOUNT),
        # google-auth retries these whatever the status; either field may hold the code.
        Rule(
            Verdict.TRANSIENT,
            ("login", "refresh"),
            json="error_description",
            pattern=r"^(internal_failure|server_error|temporarily_unavailable)$",
        ),
    )
