"""Slack: apps with token rotation."""

from __future__ import annotations

from .base import Backend
from .core import Rule, Verdict

_CLIENT = (
    r"^(bad_client_secret|invalid_client_id|bad_redirect_uri|invalid_grant_type|oauth_authorization_url_mismatch"
    r"|no_scopes|cannot_install_an_org_installed_app|preview_feature_not_available|accesslimited"
    r"|invalid_(arg_name|arguments|array_arg|charset|form_data|post_type)|missing_(post_type|argument)"
    r"|unknown_method|method_deprecated|deprecated_endpoint|invalid_auth|not_authed)$"
)
_DEAD = r"^(token_expired|token_revoked|invalid_auth|not_authed)$"


class SlackBackend(Backend):
    """Slack's Web API with token rotation; checked against docs.slack.dev (oauth.v2.access, November 2026).

    A login takes a person in a browser, who is asked for the bot's ``scope`` and for the ``user_scope`` of a token of
    the user's own, each a list with commas. Every answer, also of the API, is a 200 with
    ``ok``, and an ``error`` if something is wrong. If an app requested both a bot token and a user token, the bot
    token is used.
    """

    scope: str = ""
    user_scope: str = ""
    _scope_options = ("user_scope",)
    login_path = "oauth.v2.access"
    authorize_path = "https://slack.com/oauth/v2/authorize"
    authorize_params = {"user_scope": "{user_scope}"}
    code_challenge_method = ""  # PKCE is for apps that were made public clients ("Using PKCE")
    refresh_path = ""
    login_fields = {"code": "{code}"}
    refresh_fields = {"grant_type": "refresh_token", "refresh_token": "{refresh}"}
    body_format = "form"
    client_authentication = "basic"
    access_paths = ("access_token", "authed_user.access_token")
    refresh_paths = ("refresh_token", "authed_user.refresh_token")
    expires_in_paths = ("expires_in", "authed_user.expires_in")
    rules = (
        # Of the token's own user or workspace, whatever the method.
        Rule(Verdict.LOCKED, status=(200,), json="error", pattern=r"^account_inactive$"),
        # The address of whoever has just authorized the app.
        Rule(Verdict.REJECTED, ("login",), json="error", pattern=r"^user_email_unverified$"),
        Rule(
            Verdict.REJECTED,
            ("login", "refresh"),
            json="error",
            pattern=r"^(invalid_refresh_token|token_revoked|token_expired|invalid_code|code_already_used)$",
        ),
        Rule(Verdict.CONFIG, ("login", "refresh"), json="error", pattern=_CLIENT),
        Rule(Verdict.EXPIRED, ("api",), (200,), json="error", pattern=_DEAD),
    )
