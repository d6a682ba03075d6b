"""GitHub: user access tokens of a GitHub App."""

from __future__ import annotations

from .base import Backend
from .core import Rule, Verdict

# The last three belong to the device flow.
_REFUSED = r"^(bad_refresh_token|bad_verification_code|incorrect_device_code|expired_token|access_denied)$"
_CLIENT = (
    r"^(incorrect_client_credentials|redirect_uri_mismatch|unsupported_grant_type|application_suspended"
    r"|device_flow_disabled)$"
)


class GitHubBackend(Backend):
    """GitHub Apps whose user tokens expire; checked against docs.github.com (REST API 2022-11-28, Enterprise 3.19).

    A login takes a person in a browser. The token endpoint answers every request with 200,
    and with a form unless JSON is accepted. A refresh revokes the old access token at once, as well as the refresh
    token. A logout deletes the access token; GitHub Enterprise Server needs a ``revoke_path`` of its own.
    """

    login_path = "https://github.com/login/oauth/access_token"
    authorize_path = "./authorize"  # "Generating a user access token", which recommends PKCE
    refresh_path = ""
    login_fields = {"code": "{code}"}
    refresh_fields = {"grant_type": "refresh_token", "refresh_token": "{refresh}"}
    body_format = "form"
    client_authentication = "post"
    revoke_path = "https://api.github.com/applications/{client_id}/token"  # REST API, "Delete an app token"
    revoke_method = "DELETE"
    revoke_fields = {"access_token": "{access}"}
    revoke_format = "json"
    revoke_authentication = "basic"
    device_path = "../device/code"  # "Generating a user access token for a GitHub App", "Using the device flow"
    device_authentication = "none"
    access_paths = ("access_token",)
    refresh_paths = ("refresh_token",)
    refresh_expires_in_paths = ("refresh_token_expires_in",)
    # "Rate limits for the REST API", which has both on all answers; a limit that is used up is 403 or 429.
    rate_limit_headers = {"X-RateLimit-Remaining": "remaining", "X-RateLimit-Reset": "epoch"}
    rules = (
        Rule(Verdict.REJECTED, ("login", "refresh"), json="error", pattern=_REFUSED),
        # At a login it is the address of whoever has just authorized the app.
        Rule(Verdict.REJECTED, ("login",), json="error", pattern=r"^unverified_user_email$"),
        Rule(Verdict.LOCKED, ("refresh",), json="error", pattern=r"^unverified_user_email$"),
        Rule(Verdict.CONFIG, ("login", "refresh"), json="error", pattern=_CLIENT),
        # The call requires the token of the app itself, or a password with a second factor.
        Rule(Verdict.PASS, ("api",), (401,), json="message", pattern=r"JSON web token|\bclaim\b"),
        Rule(Verdict.PASS, ("api",), (401,), header="X-GitHub-OTP"),
    )
