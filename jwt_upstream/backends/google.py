"""Google's OAuth 2 for users (Google APIs, Workspace)."""

from __future__ import annotations

from .core import Rule, Verdict
from .oauth2 import OAuth2Backend

_ACCOUNT = r"^((The )?account (has been |is )?(deleted|disabled|suspended|restricted)|Robot is disabled)\b"


class GoogleBackend(OAuth2Backend):
    """Google; checked against what google-auth 2 handles and reports of users, as of 2026.

    Google has no password grant: a person consents in a browser, and a login sends the resulting ``code`` with the
    ``redirect_uri`` that was used. The answer to a refresh has no refresh token; the first one stays valid.
    """

    login_path = "https://oauth2.googleapis.com/token"
    client_authentication = "post"
    grant_type = "authorization_code"
    login_fields = {"code": "{code}", "redirect_uri": "{redirect_uri}"}
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
